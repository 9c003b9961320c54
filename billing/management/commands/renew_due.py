"""`manage.py renew_due`: remind, ask for payment and say what is past due: the same act as the sweep's."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing import renewals
from billing.models import Subscription
from rest.progress import Bar


class Command(BaseCommand):
    help = "Renew the subscriptions that are due. Running it late, twice or beside the sweep asks nobody twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say how many are due, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        due = Subscription.objects.to_look_at(now).count()
        if options["dry_run"]:
            self.stdout.write(f"{due:,} subscriptions are due. Nothing was done.")
            return
        bar = Bar(sys.stderr, total=due, what="subscriptions")
        work = renewals.renew_due(now=now, told=bar.show)
        bar.end()
        self.stdout.write(
            f"{work.looked:,} looked at: {work.reminded:,} reminded, {work.started:,} payments started, "
            f"{work.past_due:,} past due, {work.failed:,} could not be started."
        )
