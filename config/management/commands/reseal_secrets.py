"""Seal anew what SECRET_KEY seals, so that a former key may leave SECRET_KEY_FALLBACKS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import accounts
from events import endpoints


class Command(BaseCommand):
    help = "Seal the secrets of webhook endpoints and second factors anew with SECRET_KEY; fallbacks still open them."

    def handle(self, *args: Any, **options: Any) -> None:
        kinds = {"webhook secrets": endpoints.reseal(), "second factors": accounts.reseal_factors()}
        for kind, (done, lost) in kinds.items():
            whose = f": {', '.join(lost)}" if lost else ""
            self.stdout.write(f"{kind}: {done} sealed anew, {len(lost)} that no key opens{whose}")
        if any(lost for _, lost in kinds.values()):
            raise CommandError(
                "What no key opens needs the key that sealed it in SECRET_KEY_FALLBACKS. Where that is lost: rotate "
                "the endpoint's secret, and `reset_second_factor` for the operator."
            )
