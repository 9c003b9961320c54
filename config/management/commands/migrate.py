"""`manage.py migrate`: Django's, in batches."""

from typing import Any

from django.core.management.commands import migrate

from config.batching import batched


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with batched():
            super().handle(*args, **options)
