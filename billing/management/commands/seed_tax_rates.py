"""`manage.py seed_tax_rates`: the rates of billing/data/tax_rates.yaml that the database does not have yet."""

from argparse import ArgumentParser
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.models import TaxRate
from credits.errors import CatalogueMistake
from credits.yaml_sections import Section, open_file

FILE = Path(__file__).parents[2] / "data" / "tax_rates.yaml"
EXAMPLE = "`as_of`, `valid_from`, `category` and the section `rates`, as billing/data/tax_rates.yaml does"
DAY = "2026-01-01"
LARGEST_BASIS_POINTS = 9_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    as_of: date
    rates: list[TaxRate]


class Command(BaseCommand):
    help = "Add the tax rates of a file. Those that are there stay as they are, also where an operator chose otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=FILE, help="shaped as billing/data/tax_rates.yaml")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            told = read(file)
        except CatalogueMistake as error:
            raise CommandError(f"The rates cannot be read:\n{error}") from None
        before = TaxRate.objects.count()
        TaxRate.objects.bulk_create(told.rates, ignore_conflicts=True)
        self.stdout.write(f"{TaxRate.objects.count() - before} added, of {len(told.rates)} as of {told.as_of}.")


def read(file: Path) -> Told:
    """Every mistake in it is told at once."""
    top = open_file(file, wanted=EXAMPLE)
    as_of, valid_from = _day(top, "as_of"), _day(top, "valid_from")
    category, rates = top.text("category", longest=20, example="standard"), top.section("rates")
    points = {
        country: rates.whole(country, minimum=0, maximum=LARGEST_BASIS_POINTS) or 0
        for country in rates.names("[A-Z]{2}", "FR")
    }
    if not points:
        rates.refuse("", "says no rate; write for example `FR: 2000`")
    top.close()
    top.report.raise_if_any()
    rows = [
        TaxRate(country=country, category=category, basis_points=rate, valid_from=valid_from)
        for country, rate in points.items()
    ]
    return Told(as_of=as_of, rates=rows)


def _day(section: Section, key: str) -> date:
    found = section.text(key, pattern=r"\d{4}-\d{2}-\d{2}", example=DAY)
    try:
        return date.fromisoformat(found)
    except ValueError:
        section.refuse(key, f"{found!r} is no day; write for example {DAY}")
        return date.fromisoformat(DAY)
