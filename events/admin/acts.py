"""What the pages of this app share: the refusals that its acts show, and who acts."""

from django.http import HttpRequest

from events.admin.refusal_words import WORDS
from events.errors import EventsError
from rest import acts
from rest.acts import operator


def identity(request: HttpRequest) -> str:
    return f"operator:{operator(request).pk}"


class ActingAdmin(acts.ActingAdmin):
    refusals = (EventsError,)
    words = WORDS


class ReadingAdmin(ActingAdmin, acts.ActsAdmin):  # type: ignore[misc]
    """Rows that nobody changes; they are found and shown."""
