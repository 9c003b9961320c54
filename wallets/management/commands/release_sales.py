"""`manage.py release_sales`: let what has waited for long enough become available: the same acts as the sweeps'."""

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, F, Sum
from django.utils import timezone

from ledger.money import Money, format_money
from rest.progress import Bar
from wallets import sales
from wallets.models import Sale

LONGEST_DAYS = 1_000


class Command(BaseCommand):
    help = (
        "Let sales and reserves whose days are over become available. Running it late, twice or beside the sweeps "
        "releases nothing twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what is due, and release nothing")
        parser.add_argument(
            "--ahead-days",
            type=int,
            default=0,
            metavar="N",
            help="as if N days had gone by already; for trying things out, refused in production",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ahead = options["ahead_days"]
        if not 0 <= ahead <= LONGEST_DAYS:
            raise CommandError(f"--ahead-days goes from 0 to {LONGEST_DAYS}.")
        if ahead and settings.PRODUCTION:
            raise CommandError("In production a sale clears when its days are over, and not before.")
        moment = timezone.now() + timedelta(days=ahead)
        clearing, ending = Sale.objects.to_release(moment), Sale.objects.to_free(moment)
        self._say(clearing, "to clear", F("net_minor") - F("taken_net_minor"))
        self._say(ending, "in reserve to free", F("reserved_minor"))
        if options["dry_run"]:
            self.stdout.write("Nothing was released.")
            return
        bar = Bar(sys.stderr, total=clearing.count(), what="sales")
        released = sales.release_due(moment, told=bar.show)
        bar.end()
        freed = sales.free_due(moment)
        self.stdout.write(f"Sales cleared: {released:,}. Reserves freed: {freed:,}.")

    def _say(self, due: Any, what: str, amount: Any) -> None:
        sums = due.order_by().values("wallet__currency").annotate(count=Count("pk"), sum=Sum(amount))
        for each in sums.order_by("wallet__currency"):
            money = format_money(Money(each["sum"], each["wallet__currency"]), "en")
            self.stdout.write(f"{each['count']:,} sales {what}: {money}")
