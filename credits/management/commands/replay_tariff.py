"""`manage.py replay_tariff`: what past usage would have cost under the costs of a catalogue file. Changes nothing."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import catalogue_files, replays
from credits.errors import CatalogueMistake
from credits.replays import Line

HEADS = ("action", "unit", "uses", "before", "after", "difference", "unlimited before", "unlimited after")


def instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date like 2026-11-01 and no time like 2026-11-01T12:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Price past spends again under the costs of a catalogue file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from", dest="since", type=instant, required=True, help="the first instant, UTC")
        parser.add_argument("--to", dest="until", type=instant, required=True, help="the instant after the last, UTC")
        parser.add_argument("--costs", required=True, metavar="FILE", help="a catalogue file, or the name of one")
        parser.add_argument("--json", action="store_true", help="lines and totals as JSON")

    def handle(self, *args: Any, since: datetime, until: datetime, costs: str, **options: Any) -> None:
        if since >= until:
            raise CommandError("--from must be before --to.")
        try:
            catalogue = catalogue_files.read(costs)
        except CatalogueMistake as error:
            raise CommandError(f"The costs cannot be read:\n{error}") from None
        lines = replays.replay(catalogue, since=since, until=until)
        totals = replays.totals(lines)
        if options["json"]:
            told = {"lines": [told_line(line) for line in lines], "totals": [told_line(line) for line in totals]}
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self.tell(lines, totals)

    def tell(self, lines: list[Line], totals: list[Line]) -> None:
        rows = [HEADS, *(cells(line) for line in [*lines, *totals])]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
        for row in rows:
            text = [cell.ljust(width) if place < 2 else cell.rjust(width)  # noqa: PLR2004 - names left, figures right
                    for place, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
            self.stdout.write("  ".join(text).rstrip())
        kept = [line.action or "(by amount)" for line in lines if not line.is_repriced]
        if kept:
            self.stdout.write(f"not in the file, as it was: {', '.join(kept)}")


def cells(line: Line) -> tuple[str, ...]:
    figures = (line.uses, line.before, line.after, line.difference, line.metered_before, line.metered_after)
    return (line.action or "(by amount)", line.unit, *(str(figure) for figure in figures))


def told_line(line: Line) -> dict[str, Any]:
    return asdict(line) | {"difference": line.difference}
