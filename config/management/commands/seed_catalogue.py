"""`manage.py seed_catalogue`: make the database say what the catalogue files say."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import seeding
from credits import catalogue_files
from credits.errors import CatalogueMistake


class Command(BaseCommand):
    help = "Seed catalogues: packs and prices, costs, grant rules, a marketplace. Run it as often as you like."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="a file in catalogues/, without .yaml")
        parser.add_argument("--all", action="store_true", help="every catalogue there is")
        parser.add_argument("--check", action="store_true", help="change nothing, print the difference, fail if any")

    def handle(self, *args: Any, names: list[str], check: bool, **options: Any) -> None:
        if bool(names) == options["all"]:
            known = ", ".join(catalogue_files.names())
            raise CommandError(f"Name the catalogues to seed, or say --all. There are: {known}.")
        try:
            read = catalogue_files.every() if options["all"] else [catalogue_files.named(name) for name in names]
            catalogues = seeding.checked(read)
            changed = [self.one(catalogue, check=check) for catalogue in catalogues]
        except CatalogueMistake as error:
            raise CommandError(f"Nothing was changed:\n{error}") from None
        if check and any(changed):
            raise CommandError(f"{sum(changed)} differences. Run it without --check to apply them.")

    def one(self, catalogue: catalogue_files.Catalogue, *, check: bool) -> int:
        changes = list(seeding.differences(catalogue)) if check else seeding.seed(catalogue)
        for change in changes:
            self.stdout.write(f"{catalogue.code}: {change}")
        if not changes:
            self.stdout.write(f"{catalogue.code}: nothing to change")
        return len(changes)
