"""Small words for the tests of the books."""

from __future__ import annotations

import itertools

from ledger import accounts, transfers
from ledger.models import Account, Entry
from ledger.money import Money
from ledger.transfers import Move

_numbers = itertools.count(1)


def credits_(minor: int) -> Money:
    return Money(minor, "CREDIT")


def new_key(word: str = "test") -> str:
    return f"{word}:{next(_numbers)}"


def house(name: str, unit: str = "CREDIT") -> Account:
    return accounts.open(name=name, unit=unit, guarded=False)


def guarded(name: str, *, having: int = 0, unit: str = "CREDIT", floor: int = 0) -> Account:
    """A guarded account, given what it has by an entry, as everything is."""
    account = accounts.open(name=name, unit=unit, guarded=True, floor=floor)
    if having:
        move(house(f"issued:{unit}", unit), account, having)
    return account


def move(source: Account, target: Account, minor: int, *, key: str | None = None) -> Entry:
    amount = Money(minor, source.unit)
    return transfers.post(key=key or new_key(), kind="test", moves=[Move(source, target, amount)])


def balance(account: Account) -> int:
    return accounts.balance_of(account).minor


def on(name: str) -> int:
    """What is on an account by its name; nothing where nobody has opened it."""
    account = Account.objects.filter(name=name).first()
    return balance(account) if account else 0


def available(account: Account) -> Money:
    """What a guarded account could pay now: its balance, less what is held, down to its floor."""
    row = Account.objects.get(pk=account.pk, guarded=True)
    return Money(row.balance - row.held - row.floor, row.unit)
