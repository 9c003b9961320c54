"""`manage.py expire_due`: end the subscriptions whose time is over: the same act as the sweep's."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing import renewals
from billing.models import Subscription
from rest.progress import Bar


class Command(BaseCommand):
    help = "End subscriptions that were to end, that nobody paid for, or that were never paid. Packs are not touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many would end, and end none")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        due = Subscription.objects.to_end(now).count()
        if options["dry_run"]:
            waiting = len(renewals.abandoned(now))
            self.stdout.write(f"{due:,} subscriptions end, {waiting:,} were never paid. Nothing was done.")
            return
        bar = Bar(sys.stderr, total=due, what="subscriptions")
        done = renewals.expire_due(now=now, told=bar.show)
        bar.end()
        self.stdout.write(
            f"{done.cancelled:,} ended as asked, {done.lapsed:,} lapsed unpaid, {done.abandoned:,} were never paid."
        )
