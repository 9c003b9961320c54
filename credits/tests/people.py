"""Customers and their grants for tests, with one sensible value for all that a test does not care about."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.utils import timezone

from credits import balances, grants, holds
from credits.models import Grant, GrantSource
from rest.tests.factories import UserFactory

_numbers = itertools.count(1)


def make_user() -> User:
    return UserFactory.create()


def give(user: User, amount: int, **changes: Any) -> Grant:
    known: dict[str, Any] = {"source": GrantSource.PACK, "key": f"test:{next(_numbers)}"}
    return grants.issue(user=user, amount=amount, **known | changes)


def standing(user: User) -> tuple[int, int]:
    """What they can use, and what is held besides."""
    balance = balances.of(user)
    return balance.available, balance.held


def expired_hold(user: User, amount: int) -> UUID:
    """Nobody has said in time what became of its work."""
    held = holds.reserve(user=user, amount=amount, key="late", seconds=1, at=timezone.now() - timedelta(seconds=9))
    assert holds.expire_due() == 1
    return held.id
