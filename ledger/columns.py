"""Amounts in minor units as money, for the lists and pages of the admin."""

from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any

from django.contrib import admin

from ledger import money
from ledger.errors import LedgerError, UnknownUnit
from ledger.money import Money, for_reader


def amount(field: str, label: Any, *, unit: str = "currency") -> Callable[[Any, Any], str]:
    """A column for a field of minor units; `unit` says where the row has its unit, as in `sale.currency`."""
    unit_of = attrgetter(unit)

    @admin.display(description=label, ordering=field)
    def column(_page: Any, row: Any) -> str:
        minor = getattr(row, field)
        return "-" if minor is None else _written(minor, unit_of(row))

    return column


def shown(minor: int, unit: str) -> str:
    return for_reader(Money(minor, unit))


def plain(minor: int | None, unit: str) -> Decimal | None:
    """For a file that is reckoned with: a number, and no text."""
    return None if minor is None else Decimal(money.plain(Money(minor, unit)))


def rewritten(text: str) -> str:
    """An amount that was kept as text, "9.99 EUR", for the reader; whatever is none stays as it is."""
    figures, _, unit = text.partition(" ")
    try:
        return for_reader(money.parse(figures, unit))
    except LedgerError:
        return text


def _written(minor: int, unit: str) -> str:
    try:
        return shown(minor, unit)
    except UnknownUnit:  # a letter of a gateway may name anything
        return f"{minor} {unit}".rstrip()
