"""`manage.py show_invoices --catalogue NAME --out DIR`: what invoices look like, for whoever changes their template."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import invoice_files, invoice_samples
from billing.models.customers import Locale
from credits import catalogue_files
from credits.errors import CatalogueMistake

MOST_LINES = 1_000


def some_lines(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_LINES:
        raise ArgumentTypeError(f"{text!r} is no number of lines; write for example 90, at most {MOST_LINES}.")
    return int(text)


class Command(BaseCommand):
    help = "Draw an invoice and a credit note of a catalogue in both languages, as PNG; the books stay as they are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--catalogue", required=True, help="a file in catalogues/, without .yaml")
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
        parser.add_argument("--currency", default="EUR", help="one that the catalogue has prices in (EUR)")
        parser.add_argument("--lines", type=some_lines, default=1, help="how many lines; 90 make three pages (1)")

    def handle(self, *args: Any, catalogue: str, out: Path, currency: str, lines: int, **options: Any) -> None:
        try:
            read = catalogue_files.named(catalogue)
        except CatalogueMistake as error:
            raise CommandError(str(error)) from None
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"The pictures cannot be written to {out}: {error.strerror}.") from error
        drawn = 0
        for locale in Locale.values:
            for sample in invoice_samples.of_catalogue(read, locale=locale, currency=currency, lines=lines):
                for page, picture in enumerate(invoice_files.pictures(sample.invoice, sample.lines), start=1):
                    file = out / f"{catalogue}-{sample.invoice.kind}-{currency}-{locale}-{page}.png"
                    file.write_bytes(picture)
                    self.stdout.write(str(file))
                    drawn += 1
        if not drawn:
            raise CommandError(f"The catalogue {catalogue} has no price in {currency}.")
