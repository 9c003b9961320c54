"""`manage.py seed_tax_rates`: the rates of billing/data/tax_rates.yaml that the database does not have yet."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand

from billing.models import TaxRate

FILE = Path(__file__).parents[2] / "data" / "tax_rates.yaml"


class Command(BaseCommand):
    help = "Add the tax rates of a file. Those that are there stay as they are, also where an operator chose otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, default=FILE, help="shaped as billing/data/tax_rates.yaml")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        told = yaml.safe_load(file.read_text())
        before = TaxRate.objects.count()
        TaxRate.objects.bulk_create(
            [
                TaxRate(country=country, category=told["category"], basis_points=points, valid_from=told["valid_from"])
                for country, points in told["rates"].items()
            ],
            ignore_conflicts=True,
        )
        self.stdout.write(f"{TaxRate.objects.count() - before} added, of {len(told['rates'])} as of {told['as_of']}.")
