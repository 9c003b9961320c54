"""`manage.py export_fec --year 2026`: the year's accounting file for the French tax office, checked."""

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import accounting_file
from billing.errors import AccountingMistake
from rest.progress import Bar


def a_year(text: str) -> int:
    if not re.fullmatch(r"20\d\d", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is no year; write for example 2026.")
    return int(text)


class Command(BaseCommand):
    help = "Write the accounting file (FEC, 18 columns) of a year from the books, and check it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--year", type=a_year, required=True, help="as 2026")
        parser.add_argument("--out", type=Path, metavar="FILE", help="named as the tax office wants it when left out")

    def handle(self, *args: Any, year: int, out: Path | None, **options: Any) -> None:
        file = out or Path(accounting_file.file_name(year))
        unfinished = file.with_name(file.name + ".part")
        total = accounting_file.entries(year).count()
        bar = Bar(sys.stderr, total=total, what="entries")
        try:
            with unfinished.open("w", encoding="utf-8", newline="") as target:
                target.write("\t".join(accounting_file.COLUMNS) + "\r\n")
                for cells in accounting_file.lines(year, bar.show):
                    target.write("\t".join(" ".join(cell.split()) for cell in cells) + "\r\n")
            bar.end()
            found = accounting_file.check(unfinished)
        except AccountingMistake as mistake:
            unfinished.unlink(missing_ok=True)
            raise CommandError(str(mistake)) from None
        except OSError as error:
            raise CommandError(f"{unfinished} cannot be written: {error.strerror}.") from error
        unfinished.replace(file)
        self.stdout.write(
            f"{file}: {found.entries} entries without a gap, {found.lines} lines, "
            f"debit {found.debit} = credit {found.credit}"
        )
