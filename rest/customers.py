"""The accounts of customers: one per user id of the outside, made on first sight."""

import time
import unicodedata

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from rest.memory import Memory

LONGEST_ID = 150
# Control, format and surrogate characters, line and paragraph separators: what nobody can see in a list of users.
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
FIELDS = tuple(field.attname for field in User._meta.concrete_fields)

_known: Memory[str, tuple[object, ...]] = Memory(size=20_000)


def is_user_id(value: object) -> bool:
    return (
        isinstance(value, str)
        and 1 <= len(value) <= LONGEST_ID
        and value == value.strip()
        and INVISIBLE.isdisjoint(map(unicodedata.category, value))
    )


def account(user_id: str) -> User:
    """The account of this user id. Read at most once per CUSTOMER_CACHE_SECONDS in a process.

    What is remembered is the row, not the object: an object shared between requests would carry what one
    request has hung on it, such as its cached relations, into the next.
    """
    row = _known.get(user_id)
    if row is None:
        row = _read(user_id) or _made(user_id)
        _known.put(user_id, row, until=time.time() + settings.CUSTOMER_CACHE_SECONDS)
    return User.from_db("default", FIELDS, row)


def named(user_id: str) -> User:
    """The same for whoever only looks: where there is no account none is made, and the one in hand is of nobody yet."""
    return User.objects.filter(username=user_id).first() or User(username=user_id)


def _read(user_id: str) -> tuple[object, ...] | None:
    row: tuple[object, ...] | None = User.objects.filter(username=user_id).values_list(*FIELDS).first()
    return row


def _made(user_id: str) -> tuple[object, ...]:
    # Two first requests at once: the unique username lets one of them make the account, and both read it.
    # The name is taken as it is: create_user() would normalise it and so let two ids share one account.
    user, _ = User.objects.get_or_create(username=user_id, defaults={"password": make_password(None)})
    return tuple(getattr(user, field) for field in FIELDS)
