"""`manage.py sync`: all that the sweeps would find, now."""

from typing import Any

from django.core.management.base import BaseCommand

from billing import asking, inbox, mirror, missed, refund_sending


class Command(BaseCommand):
    help = "Catch up with the gateways: missed notifications, the inbox, open attempts and refunds, the mirror."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"missed notifications: {missed.collect()}")
        self.stdout.write(f"letters read: {inbox.drain()}")
        self.stdout.write(f"attempts asked about: {asking.ask_due()}")
        self.stdout.write(f"checkouts ended: {asking.expire_abandoned()}")
        refund_sending.work_through()
        self.stdout.write("refunds worked through")
        self.stdout.write(f"events mirrored: {mirror.work_through()}")
