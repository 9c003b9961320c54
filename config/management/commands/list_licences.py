"""`manage.py list_licences`: the licence of every package that we pin, as its own metadata says."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import licences

DOCUMENT = licences.BASE_DIR / "docs" / "licences.md"


class Command(BaseCommand):
    help = "Print the licences of our dependencies; keep them in docs/licences.md (--write), or judge them (--check)."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--write", action="store_true", help="write docs/licences.md")
        what.add_argument("--check", action="store_true", help="fail on an unknown licence, or one that is not ours")

    def handle(self, *args: Any, write: bool, check: bool, **options: Any) -> None:
        found = licences.found()
        if check:
            if wrong := licences.faults(found, DOCUMENT.read_text(encoding="utf-8")):
                raise CommandError("\n".join([*wrong, "`manage.py list_licences --write` renews the page."]))
            self.stdout.write(f"{len(found)} packages, all with a licence that we accept.")
        elif write:
            DOCUMENT.write_text(licences.document(found), encoding="utf-8")
            self.stdout.write(f"{len(found)} packages in docs/licences.md.")
        else:
            self.stdout.write(licences.document(found))
