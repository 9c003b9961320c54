"""Compile the catalogues of locale/ that have changed; needs no GNU gettext."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config import translations


class Command(BaseCommand):
    help = "Compile locale/*/LC_MESSAGES/*.po where the compiled file is missing or older."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--update", action="store_true", help="first collect new texts into the catalogues")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["update"]:
            for code, _name in settings.LANGUAGES:
                if code != settings.LANGUAGE_CODE:
                    self.stdout.write(f"updated {translations.update_catalogue(code)}")
                    for message in translations.untranslated(code):
                        self.stdout.write(f"  not translated: {message!r}")
        for path in translations.compile_stale():
            self.stdout.write(f"compiled {path}")
