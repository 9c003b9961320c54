"""`manage.py migrate`: Django's, in batches, and then the operators' groups, which no deployment can forget."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS

from config import groups
from config.batching import batched


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with batched():
            super().handle(*args, **options)
        if _is_whole(options):
            self.synchronise_groups(told=options["verbosity"] > 0)

    def synchronise_groups(self, *, told: bool) -> None:
        try:
            changes = groups.synchronise()
        except groups.UnknownPermission as error:
            raise CommandError(str(error)) from error
        for name, (added, removed) in changes.items():
            if told and (added or removed):
                self.stdout.write(f"Group {name}: {added} permissions added, {removed} removed")


def _is_whole(options: dict[str, Any]) -> bool:
    """Only when every app is at its newest have all permissions of the table been made."""
    is_dry = options["plan"] or options["check_unapplied"]
    return not (is_dry or options["app_label"]) and options["database"] == DEFAULT_DB_ALIAS
