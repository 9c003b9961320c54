"""Give the operators' groups the permissions that config/groups.py says."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import groups


class Command(BaseCommand):
    help = "Give the groups support, finance and auditor what config/groups.py says, as `migrate` does at its end."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            changes = groups.synchronise()
        except groups.UnknownPermission as error:
            raise CommandError(str(error)) from error
        if options["verbosity"] == 0:
            return
        for name, (added, removed) in changes.items():
            self.stdout.write(f"{name}: {added} added, {removed} removed")
