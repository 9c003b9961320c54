"""`manage.py write_event_reference`: the table of event types in docs/events.md, from the code."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from events import reference


class Command(BaseCommand):
    help = "Make the table of event types in docs/events.md anew from events/shapes.py."

    def handle(self, *args: Any, **options: Any) -> None:
        document = settings.BASE_DIR / "docs" / "events.md"
        document.write_text(reference.inserted(document.read_text()))
        self.stdout.write(f"{document.name} says what events/shapes.py says.")
