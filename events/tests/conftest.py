"""What the tests of the events share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from events import outbox, shapes
from events.models import Event
from events.people import Contact
from events.tests.receivers import Receiver, listening
from events.types import EventType
from rest.tests.factories import UserFactory

CONTACTS: dict[int, Contact] = {}


def contacts_of_tests(users: Any) -> dict[int, Contact]:
    return {user: CONTACTS[user] for user in users if user in CONTACTS}


@pytest.fixture
def user(db) -> User:
    return UserFactory.create()


@pytest.fixture
def tell() -> Callable[..., Event]:
    """Records an event with the example of its type, changed as said."""

    def record(user: User, name: str = "credits.low", **changes: Any) -> Event:
        data = {**shapes.SHAPES[name, 1].example, **changes}
        return outbox.record(user=user, type=EventType(name), data=data)

    return record


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = True
    with listening(Receiver()) as one:
        yield one


@pytest.fixture
def reach(settings) -> Iterator[Callable[..., Contact]]:
    """Says where a customer's letters go."""
    settings.EVENTS_CONTACTS = "events.tests.conftest.contacts_of_tests"

    def know(user: User, **changes: Any) -> Contact:
        known = {"email": f"{user.get_username()}@example.com", "locale": "en", "name": "Ada"}
        CONTACTS[user.pk] = Contact(**known | changes)
        return CONTACTS[user.pk]

    yield know
    CONTACTS.clear()
