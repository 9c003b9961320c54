"""`manage.py audit_catalogue`: what is wrong with a catalogue as business. Reads files only, changes nothing."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits import audit, catalogue_files
from credits.audit import Finding, Tolerance
from credits.catalogue_files import Catalogue
from credits.errors import CatalogueMistake


def positive(text: str) -> Fraction:
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ArgumentTypeError(f"{text!r} is not a number like 2 or 1.5") from None
    if found < 0:
        raise ArgumentTypeError("the number must not be negative")
    return found


class Command(BaseCommand):
    help = "Find dominated packs, offers below cost, loopholes, price inversions and amounts no gateway takes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="a catalogue, or the path of a file (default: all)"
        )
        parser.add_argument("--together", action="store_true", help="as one shop where they share a unit")
        parser.add_argument(
            "--currency-tolerance", type=positive, default=Fraction(2), metavar="PERCENT",
            help="how far prices in two currencies may lie apart (default: 2)",
        )  # fmt: skip
        parser.add_argument(
            "--times-cheaper", type=positive, default=Fraction(2), metavar="TIMES",
            help="how much cheaper than the best pack a path may be (default: 2)",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="findings and notes as JSON")

    def handle(self, *args: Any, names: list[str], **options: Any) -> None:
        try:
            catalogues = [catalogue_files.read(name) for name in names] if names else catalogue_files.every()
        except CatalogueMistake as error:
            raise CommandError(f"The catalogue cannot be read:\n{error}") from None
        shops = audit.together(catalogues) if options["together"] else catalogues
        tolerance = Tolerance(currency_percent=options["currency_tolerance"], times_cheaper=options["times_cheaper"])
        findings = [finding for shop in shops for finding in audit.audit(shop, tolerance)]
        if options["json"]:
            notes = {shop.code: audit.notes(shop) for shop in shops}
            told = {"findings": [asdict(finding) for finding in findings], "notes": notes}
            self.stdout.write(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            self.tell(shops, findings)
        if findings:
            raise CommandError(f"{len(findings)} findings." if len(findings) > 1 else "1 finding.")

    def tell(self, shops: list[Catalogue], findings: list[Finding]) -> None:
        for shop in shops:
            own = [finding for finding in findings if finding.catalogue == shop.code]
            self.stdout.write(f"{shop.code}: {len(own) or 'nothing'} found")
            for finding in own:
                self.stdout.write(f"  {finding.kind}: {finding.subject}: {finding.text}")
            for note in audit.notes(shop):
                self.stdout.write(f"  note: {note}")
