"""`manage.py seed_catalogue`: make the database, and Stripe if you say so, say what the catalogue files say."""

from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from billing import stripe_catalogue
from billing.gateways import registry
from billing.gateways.errors import GatewayError
from billing.gateways.stripe import Stripe
from config import seeding
from credits import catalogue_files
from credits.catalogue_files import Catalogue
from credits.errors import CatalogueMistake
from rest.seeding import Change


class Command(BaseCommand):
    help = (
        "Seed catalogues: packs and prices, costs, grant rules, a marketplace. Run it as often as you like. "
        "Without --check, --apply and --prune it applies, but in production it only shows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="a file in catalogues/, without .yaml")
        parser.add_argument("--all", action="store_true", help="every catalogue there is")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--check", action="store_true", help="change nothing, print the difference, fail if any")
        how.add_argument("--apply", action="store_true", help="make it so; what left the file stays on sale")
        how.add_argument("--prune", action="store_true", help="make it so, and take what left the file off sale")
        parser.add_argument("--stripe", action="store_true", help="products and prices at Stripe too")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:
        if bool(names) == options["all"]:
            known = ", ".join(catalogue_files.names())
            raise CommandError(f"Name the catalogues to seed, or say --all. There are: {known}.")
        stripe = _stripe() if options["stripe"] else None
        try:
            read = catalogue_files.every() if options["all"] else [catalogue_files.named(name) for name in names]
            catalogues = seeding.checked(read)
            if stripe and (mistakes := stripe_catalogue.refusals(catalogues, stripe)):
                raise CatalogueMistake(mistakes)
            left = sum(self.one(catalogue, stripe, options) for catalogue in catalogues)
        except CatalogueMistake as error:
            raise CommandError(f"Nothing was changed:\n{error}") from None
        except GatewayError as error:
            raise CommandError(f"Stripe: {error}. Run it again: what is done already stays as it is.") from error
        if options["check"] and left:
            raise CommandError(f"{left} differences. Run it with --prune to apply them all, or with --apply.")
        if left:
            self.stdout.write(f"{left} left as they are: {'--prune' if _applies(options) else '--apply or --prune'}.")

    def one(self, catalogue: Catalogue, stripe: Stripe | None, options: dict[str, Any]) -> int:
        """How many differences there still are."""
        if _applies(options):
            removes = _removes(options)
            ours = seeding.seed(catalogue, prune=removes)
            left: list[Change] = [] if removes else list(seeding.differences(catalogue))
            # At Stripe only once the database has it, and outside of any transaction.
            there: list[Change] = list(stripe_catalogue.differences(catalogue, stripe)) if stripe else []
            done = [change for change in there if removes or not seeding.takes_away(change)]
            for change in done:
                change.act()
            left += [change for change in there if change not in done]
            self.say(catalogue, [*ours, *done])
            self.say(catalogue, left, note=" (left as it is)")
            if not (ours or done or left):
                self.stdout.write(f"{catalogue.code}: nothing to change")
            return len(left)
        changes: list[Change] = list(seeding.differences(catalogue))
        changes += stripe_catalogue.differences(catalogue, stripe) if stripe else ()
        self.say(catalogue, changes)
        if not changes:
            self.stdout.write(f"{catalogue.code}: nothing to change")
        return len(changes)

    def say(self, catalogue: Catalogue, changes: Iterable[Change], note: str = "") -> None:
        for change in changes:
            self.stdout.write(f"{catalogue.code}: {change}{note}")


def _applies(options: dict[str, Any]) -> bool:
    """In production only when it is said: a price is not changed by somebody who wanted to look."""
    return bool(options["apply"] or options["prune"] or not (options["check"] or settings.PRODUCTION))


def _removes(options: dict[str, Any]) -> bool:
    return bool(options["prune"] or not (options["apply"] or options["check"] or settings.PRODUCTION))


def _stripe() -> Stripe:
    adapter = registry.get("stripe")
    if missing := adapter.missing_settings():
        raise CommandError(f"Stripe is not configured: {', '.join(missing)}.")
    assert isinstance(adapter, Stripe)  # noqa: S101 - of that name there is no other
    return adapter
