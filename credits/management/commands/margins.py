"""`manage.py margins`: what the uses of a period earned over their real cost, lot by lot. Changes nothing."""

import json
from argparse import ArgumentParser
from fractions import Fraction
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import margin_reports, margins
from credits.management.commands.replay_tariff import instant
from credits.margin_reports import Line, Rates, Total

HEADS = ("action", "unit", "source", "lot", "price", "uses", "credits", "revenue", "real cost", "margin", "mark-up")
LEFT = 3  # columns of names; the others are of figures


class Command(BaseCommand):
    help = "Margin rate and mark-up of what was used, by action and by the lots that it was paid with."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="since", type=instant, required=True, help="the first instant, UTC")
        parser.add_argument("--to", dest="until", type=instant, required=True, help="the instant after the last, UTC")
        parser.add_argument(
            "--rate", dest="rates", action="append", default=[], metavar="EUR/USD=1.08",
            help="how many of the second currency one of the first is; may be given several times",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="lines and totals as JSON")

    def handle(self, *args: Any, rates: list[str], **options: Any) -> None:
        if options["since"] >= options["until"]:
            raise CommandError("--from must be before --to.")
        known = dict(read_rate(text) for text in rates)
        lines = margin_reports.report(since=options["since"], until=options["until"])
        totals = margin_reports.totals(lines, known)
        if options["json"]:
            told = {
                "lines": [told_line(line, known) for line in lines],
                "totals": [told_total(each) for each in totals],
            }
            self.stdout.write(json.dumps(told, indent=2))
            return
        rows = [HEADS, *(cells(line, known) for line in lines), *(total_cells(total) for total in totals)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
        for row in rows:
            text = [cell.ljust(width) if place < LEFT else cell.rjust(width)
                    for place, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
            self.stdout.write("  ".join(text).rstrip())
        if unknown := sum(line.credits for line in lines if line.margin(known) is None):
            self.stdout.write(f"{unknown} credits have no margin: their price, their real cost or a rate is not known")


def read_rate(text: str) -> tuple[tuple[str, str], Fraction]:
    pair, _, figure = text.partition("=")
    base, _, quote = pair.partition("/")
    try:
        rate = Fraction(figure)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not base or not quote or rate <= 0:
        raise CommandError(f"{text!r} is no rate like EUR/USD=1.08.")
    return (base.upper(), quote.upper()), rate


def cells(line: Line, rates: Rates) -> tuple[str, ...]:
    found = line.margin(rates)
    cost = "-" if line.real_cost is None else f"{amount(line.real_cost)} {line.cost_currency}"
    return (
        line.action or "(by amount)",
        line.unit,
        line.source,
        str(line.lot or "-"),
        str(line.price or "-"),
        str(line.uses),
        str(line.credits),
        "-" if line.revenue is None else amount(line.revenue),
        cost,
        margins.percent(found.rate if found else None),
        margins.percent(found.markup if found else None),
    )


def total_cells(total: Total) -> tuple[str, ...]:
    found = total.margin
    figures = (str(total.credits), amount(found.revenue), f"{amount(found.real_cost)} {total.currency}")
    rates = (margins.percent(found.rate), margins.percent(found.markup))
    return ("total", total.unit, "", "", "", "", *figures, *rates)


def amount(value: Fraction) -> str:
    """In major units; a use costs fractions of a cent, so that what is small has more places."""
    return f"{float(value):.2f}" if value == round(value, 2) or abs(value) >= 1 else f"{float(value):.4f}"


def exact(value: Fraction | None) -> str | None:
    return None if value is None else f"{float(value):.4f}"


def told_line(line: Line, rates: Rates) -> dict[str, Any]:
    found = line.margin(rates)
    return {
        "action": line.action,
        "unit": line.unit,
        "source": line.source,
        "lot": line.lot,
        "price_minor": line.price.minor if line.price else None,
        "currency": line.price.unit if line.price else None,
        "uses": line.uses,
        "credits": line.credits,
        "revenue": exact(line.revenue),
        "real_cost": exact(line.real_cost),
        "real_cost_currency": line.cost_currency or None,
        "margin": exact(found.rate) if found else None,
        "markup": exact(found.markup) if found else None,
    }


def told_total(total: Total) -> dict[str, Any]:
    found = total.margin
    return {
        "unit": total.unit,
        "currency": total.currency,
        "credits": total.credits,
        "without_margin": total.others,
        "revenue": exact(found.revenue),
        "real_cost": exact(found.real_cost),
        "margin": exact(found.rate),
        "markup": exact(found.markup),
    }
