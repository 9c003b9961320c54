"""`manage.py list_modules`: every module of ours with its purpose and its size, judged by the house rules."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import modules

DOCUMENT = modules.BASE_DIR / "docs" / "architecture.md"


class Command(BaseCommand):
    help = "Print a table of our modules; keep it in docs/architecture.md (--write), or judge the modules (--check)."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--write", action="store_true", help="write the table into docs/architecture.md")
        what.add_argument("--check", action="store_true", help="fail when a module breaks a house rule or is missing")

    def handle(self, *args: Any, write: bool, check: bool, **options: Any) -> None:
        found = modules.found()
        text = DOCUMENT.read_text(encoding="utf-8")
        if check:
            if wrong := modules.faults(found, text):
                again = "`manage.py list_modules --write` renews the table."
                raise CommandError("\n".join([*wrong, again]))
            self.stdout.write(f"{len(found)} modules, each with its purpose.")
        elif write:
            DOCUMENT.write_text(modules.written(text, found), encoding="utf-8")
            self.stdout.write(f"{len(found)} modules in docs/architecture.md.")
        else:
            self.stdout.write(modules.table(found))
