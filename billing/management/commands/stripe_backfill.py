"""`manage.py stripe_backfill`: what Stripe has already, into the mirror."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

import stripe
from django.core.management.base import BaseCommand, CommandError

from billing import mirror
from billing.gateways.errors import GatewayError

WIDTH = 20
EVERY = 25


class Command(BaseCommand):
    help = "Read Stripe's lists into the mirror. It changes nothing at Stripe; run it as often as you like."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of: {', '.join(mirror.KINDS)}; none: all")
        parser.add_argument("--since", metavar="YYYY-MM-DD", help="only what was made from that day on")

    def handle(self, *args: Any, kinds: list[str], since: str | None, **options: Any) -> None:
        if unknown := sorted(set(kinds) - set(mirror.KINDS)):
            raise CommandError(f"Unknown: {', '.join(unknown)}. There are: {', '.join(mirror.KINDS)}.")
        if not mirror.ready():
            raise CommandError("Stripe is not configured.")
        chosen = [kind for kind in mirror.KINDS if kind in kinds or not kinds]
        start, failed = _day(since), 0
        for position, kind in enumerate(chosen):
            failed += self.one(kind, position / len(chosen), start)
        self.show(1.0, "done", is_last=True)
        if failed:
            raise CommandError(f"{failed} objects could not be mirrored; the log says why.")

    def one(self, kind: str, share: float, since: datetime | None) -> int:
        kept = failed = 0
        self.show(share, kind)
        try:
            for is_kept in mirror.backfill(kind, since=since):
                kept, failed = kept + is_kept, failed + (not is_kept)
                if (kept + failed) % EVERY == 0:
                    self.show(share, f"{kind} {kept + failed}")
        except (stripe.StripeError, GatewayError) as error:
            raise CommandError(f"Stripe's list of {kind} could not be read: {error}") from error
        self.show(share, f"{kind}: {kept} mirrored, {failed} failed", is_last=True)
        return failed

    def show(self, share: float, text: str, *, is_last: bool = False) -> None:
        """A bar on a terminal; elsewhere one line for each kind, since a log cannot be overwritten."""
        done = round(share * WIDTH)
        line = f"[{'#' * done}{'.' * (WIDTH - done)}] {text}"
        if self.stdout.isatty():
            self.stdout.write(f"\r{line:<70}", ending="\n" if is_last else "")
            self.stdout.flush()
        elif is_last:
            self.stdout.write(line)


def _day(said: str | None) -> datetime | None:
    if said is None:
        return None
    try:
        return datetime.strptime(said, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise CommandError(f"{said} is no day; write for example 2026-08-31.") from error
