"""`manage.py bench NAME`: what an act costs beside its rivals, measured in one run on a database of its own."""

import dataclasses
import json
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

NAMES = ("ledger", "grants", "due", "stream", "webhooks", "wallets", "invoices")


class Command(BaseCommand):
    help = "Measure Tirelire beside its rivals; bench/README.md says what each figure means. Development only."
    requires_system_checks = []  # some of them ask the usual database, which need not be migrated

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_subparsers(dest="name", required=True, metavar="|".join(NAMES))
        for name in NAMES:
            one = chosen.add_parser(name, help=(_module(name).__doc__ or "").split("\n")[0])
            one.add_argument("--quick", action="store_true", help="small and short: a look, not a figure")
            one.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
            one.add_argument("--rounds", type=int, help="how often each rival has its turn")
            one.add_argument("--seconds", type=float, help="how long each turn lasts")
            one.add_argument("--database", default="tirelire_bench", help="made for the run (its name's beginning)")
            one.add_argument("--template", help="copy this database instead of migrating an empty one")
            one.add_argument("--keep", action="store_true", help="leave the databases behind")
            _module(name).add_arguments(one)

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("Benchmarks fill databases and servers of their own: run them in development.")
        if options["json"] and not options["json"].parent.is_dir():
            raise CommandError(f"There is no folder {options['json'].parent} for the figures. Nothing was measured.")
        found = _module(options["name"]).run(options, self.say)
        connections.close_all()
        if options["json"]:
            options["json"].write_text(json.dumps(found, default=dataclasses.asdict, indent=2) + "\n")

    def say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _module(name: str) -> ModuleType:
    return import_module(f"bench.{name}")
