"""Prove the books: print a figure for each check, and fail on any fault."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from ledger.checks import Check, Result, all_checks
from ledger.errors import BooksDiffer


class Command(BaseCommand):
    help = "Prove the books by queries: a figure for each check, a non-zero exit on any fault."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        reports, wrong = [], []
        for check in all_checks():
            report = self.report(check, quietly=options["json"])
            reports.append(report)
            if report["faults"]:
                wrong.append(check.name)
        if options["json"]:
            self.stdout.write(json.dumps({"in_order": not wrong, "checks": reports}, indent=2))
        if wrong:
            raise CommandError(str(BooksDiffer(wrong)))
        if not options["json"]:
            self.stdout.write("The books are in order.")

    def report(self, check: Check, *, quietly: bool) -> dict[str, Any]:
        if not quietly:
            # Said before the answer is known: over ten million transfers a check takes a while.
            self.stdout.write(f"{check.name} … ", ending="")
            self.stdout.flush()
        began = time.monotonic()
        result = run_without_time_limit(check)
        seconds = time.monotonic() - began
        if not quietly:
            self.show(check, result, seconds)
        return {
            "name": check.name,
            "looked_at": result.looked_at,
            "faults": result.faults,
            "examples": result.examples,
            "seconds": round(seconds, 3),
        }

    def show(self, check: Check, result: Result, seconds: float) -> None:
        figure = f"{result.looked_at:,} {check.counts}".strip() + f", {seconds:.1f} s"
        if not result.faults:
            self.stdout.write(f"yes ({figure})")
            return
        self.stdout.write(self.style.ERROR(f"NO: {result.faults:,} faults ({figure})"))
        for example in result.examples:
            self.stdout.write(f"    {example}")


def run_without_time_limit(check: Check) -> Result:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        return check.run()
