"""Make a service token; its secret is the only thing on the standard output, so that a script can keep it."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from rest import tokens

LONGEST_LIFE_DAYS = 36_500


class Command(BaseCommand):
    help = "Make a service token and print its secret once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="who will use it, for example: shop backend")
        parser.add_argument(
            "--permission", action="append", nargs="+", default=[], metavar="APP.CODENAME", help="may be repeated"
        )
        parser.add_argument("--all-permissions", action="store_true", help="everything that exists today")
        parser.add_argument("--expires-in-days", type=int, metavar="N")

    def handle(self, *, name: str, expires_in_days: int | None, **options: Any) -> None:
        wanted = [each for given in options["permission"] for each in given]
        if bool(wanted) == options["all_permissions"]:
            raise CommandError("Say what the token may do: --permission APP.CODENAME …, or --all-permissions.")
        if expires_in_days is not None and not 1 <= expires_in_days <= LONGEST_LIFE_DAYS:
            raise CommandError(f"--expires-in-days is 1 to {LONGEST_LIFE_DAYS}.")
        if not name.strip() or len(name) > 100 or "\0" in name:  # noqa: PLR2004
            raise CommandError("A name has 1 to 100 characters.")
        permissions = list(Permission.objects.select_related("content_type"))
        if wanted:
            permissions = self._chosen(permissions, wanted)
        expires_at = timezone.now() + timedelta(days=expires_in_days) if expires_in_days else None
        token, secret = tokens.issue(name=name.strip(), permissions=permissions, expires_at=expires_at, by=None)
        self.stderr.write(f"{token.name} may use {len(permissions)} permissions until {expires_at or 'it is revoked'}.")
        self.stderr.write("Keep this secret now: it is stored nowhere and cannot be shown again.")
        self.stdout.write(secret)

    def _chosen(self, permissions: list[Permission], wanted: list[str]) -> list[Permission]:
        known = {tokens.permission_name(permission): permission for permission in permissions}
        unknown = sorted(set(wanted) - known.keys())
        if unknown:
            raise CommandError(
                f"There is no permission {', '.join(unknown)}. They are written like rest.act_for_customers."
            )
        return [known[each] for each in dict.fromkeys(wanted)]
