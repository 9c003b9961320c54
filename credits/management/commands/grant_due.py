"""`manage.py grant_due`: grant what the calendar says is due: the same act as the sweep's."""

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from credits import calendar, due_periods
from credits.calendar import Outcome
from rest.progress import Bar


class Command(BaseCommand):
    help = "Grant the periods of plans that are due. Running it late, twice or beside the sweep grants nothing twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what is due, and grant nothing")
        parser.add_argument("--batch", type=int, metavar="N", help="periods in a transaction (CREDITS_GRANT_BATCH)")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        waiting = due_periods.waiting(now)
        total = sum(each.periods for each in waiting)
        for each in waiting:
            self.stdout.write(
                f"{each.rule}: {each.periods:,} periods of {each.customers:,} customers, at most {each.amount:,} "
                f"{each.unit}, the oldest since {each.oldest:%Y-%m-%d %H:%M} UTC"
            )
        if options["dry_run"]:
            self.stdout.write(f"{total:,} periods are due. Nothing was granted.")
            return
        bar = Bar(sys.stderr, total=total, what="periods")
        began = time.monotonic()
        done = calendar.grant_due(at=now, most=options["batch"], told=lambda so_far: bar.show(so_far.total))
        bar.end()
        self.stdout.write(f"{summary(done)} in {time.monotonic() - began:.1f} s.")


def summary(done: Outcome) -> str:
    return (
        f"{done.granted:,} granted, {done.skipped:,} skipped as their rules say, {done.full:,} had nothing to fill up"
    )
