"""`manage.py issue_missing_invoices`: whatever was paid or refunded since a day and has no paper yet."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from billing import invoices


class Command(BaseCommand):
    help = "Issue the invoices and credit notes that are missing. Run it as often as you like."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=datetime.fromisoformat, required=True, help="the first day, as 2026-01-01")

    def handle(self, *args: Any, since: datetime, **options: Any) -> None:
        begin, total = since.replace(tzinfo=since.tzinfo or UTC), 0
        while done := invoices.issue_missing(since=begin):
            total += done
            self.stdout.write(f"{total} issued")
        self.stdout.write(f"Nothing is missing since {since:%Y-%m-%d}, but what the log says could not be issued.")
