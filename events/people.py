"""Who a customer is, as far as an e-mail needs it. A layer above knows: settings.EVENTS_CONTACTS names whom to ask."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    email: str  # empty: nobody told us, so nothing is sent
    locale: str
    name: str = ""
    time_zone: str = "UTC"


def contacts(users: Collection[int]) -> Mapping[int, Contact]:
    """By user id; whoever is missing gets no mail."""
    ask: Callable[[Collection[int]], Mapping[int, Contact]] = import_string(settings.EVENTS_CONTACTS)
    return ask(users) if users else {}
