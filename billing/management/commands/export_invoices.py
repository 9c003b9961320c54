"""`manage.py export_invoices --month 2026-11`: all papers of a month as one ZIP."""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import invoice_archive
from rest.progress import Bar


def a_month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no month; write for example 2026-11.") from None


class Command(BaseCommand):
    help = "Write the PDF and XML of every invoice, receipt and credit note of a month, with an index, into a ZIP."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--month", type=a_month, required=True, help="as 2026-11")
        parser.add_argument("--out", type=Path, metavar="FILE", help="the ZIP (invoices-2026-11.zip)")

    def handle(self, *args: Any, month: date, out: Path | None, **options: Any) -> None:
        papers = invoice_archive.papers(month)
        total = papers.count()
        if not total:
            raise CommandError(f"Nothing was issued in {month:%Y-%m}.")
        file = out or Path(f"invoices-{month:%Y-%m}.zip")
        unfinished = file.with_name(file.name + ".part")
        bar = Bar(sys.stderr, total=total, what="papers")
        try:
            with unfinished.open("wb") as target:
                for piece in invoice_archive.stream(month, bar.show):
                    target.write(piece)
        except OSError as error:
            raise CommandError(f"{unfinished} cannot be written: {error.strerror}.") from error
        bar.end()
        unfinished.replace(file)
        self.stdout.write(f"{file}: {total} papers")
        if waiting := papers.filter(file__isnull=True).count():
            self.stdout.write(f"{waiting} of them are not rendered yet: the index names them without a digest.")
