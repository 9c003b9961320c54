"""Customers and their grants for tests, with one sensible value for all that a test does not care about."""

import itertools
from typing import Any

from django.contrib.auth.models import User

from credits import grants
from credits.models import Grant, GrantSource
from rest.tests.factories import UserFactory

_numbers = itertools.count(1)


def make_user() -> User:
    return UserFactory.create()


def give(user: User, amount: int, **changes: Any) -> Grant:
    known: dict[str, Any] = {"source": GrantSource.PACK, "key": f"test:{next(_numbers)}"}
    return grants.issue(user=user, amount=amount, **known | changes)
