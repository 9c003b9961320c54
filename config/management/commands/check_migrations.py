"""`manage.py check_migrations`: the migrations of our own apps, judged by squawk."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import migration_rules


class Command(BaseCommand):
    help = "Look for migrations that lock tables or break the version that still runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("labels", nargs="*", help="apps to look at; our own by default")

    def handle(self, *args: Any, labels: list[str], **options: Any) -> None:
        if found := migration_rules.check(labels or None):
            raise CommandError("\n".join([*found, "See .squawk.toml for how one migration is excused."]))
        self.stdout.write("No dangerous migration.")
