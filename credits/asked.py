"""What a caller asked to use: checked, priced by the cost table, and reduced to a fingerprint."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from credits import costs
from credits.errors import InvalidUse
from ledger.errors import UnitMismatch
from ledger.money import CREDIT, LARGEST_MINOR, Money, exponent

LONGEST_KEY = 255
LONGEST_REFERENCE = 200
LARGEST_METADATA_BYTES = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One wish to use credits: an action of the cost table, or an amount."""

    key: str
    action: str | None = None
    amount: int | None = None
    quantity: int | None = None
    unit: str | None = None
    reference: str = ""
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What a use costs, and under which version of the cost table."""

    money: Money
    action: str = ""
    cost_version: int | None = None


def price(use: Use, at: datetime | None = None, *, ceiling: bool = False) -> Priced:
    """What the use costs; with `ceiling`, what to hold for it while that is not known yet."""
    if use.action is None:
        if use.quantity is not None:
            raise InvalidUse("quantity", "A quantity goes with an action.")
        money = Money(check_amount(use.amount), use.unit or CREDIT)
        return Priced(money=money)
    cost = costs.find(use.action, at)
    if use.unit not in (None, cost.unit):
        raise UnitMismatch(f"{use.action!r} costs {cost.unit}, not {use.unit}.")
    if use.amount is not None:
        check_amount(use.amount)
    money = (costs.ceiling if ceiling else costs.price)(cost, quantity=use.quantity, amount=use.amount)
    return Priced(money=money, action=use.action, cost_version=cost.version)


def check(use: Use) -> str | None:
    """Refuses what cannot be stored; returns the metadata as JSON."""
    check_key(use.key)
    check_unit(use.unit or CREDIT)
    reference = use.reference
    if not isinstance(reference, str) or len(reference) > LONGEST_REFERENCE or not _is_storable(reference):
        raise InvalidUse("reference", f"A reference has at most {LONGEST_REFERENCE} printable characters.")
    return dump(use.metadata)


def check_key(key: str) -> None:
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not _is_storable(key):
        raise InvalidUse("key", f"A key has 1 to {LONGEST_KEY} printable characters.")


def check_unit(unit: str) -> None:
    exponent(unit)


def check_amount(amount: int | None) -> int:
    # A boolean is an int to Python, and never an amount.
    if type(amount) is not int or not 0 < amount <= LARGEST_MINOR:
        raise InvalidUse("amount", f"An amount is a whole number from 1 to {LARGEST_MINOR}.")
    return amount


def dump(metadata: Mapping[str, Any] | None) -> str | None:
    if not metadata:
        return None
    try:
        text = orjson.dumps(dict(metadata)).decode()
    except TypeError as error:
        raise InvalidUse("metadata", "Metadata is a JSON object.") from error
    if len(text) > LARGEST_METADATA_BYTES or "\\u0000" in text:
        raise InvalidUse("metadata", f"Metadata has at most {LARGEST_METADATA_BYTES} bytes, and none of them zero.")
    return text


def fingerprint(*facts: Any) -> UUID:
    """What must be the same for the same key to mean the same wish: the first 128 bits of a SHA-256."""
    return UUID(bytes=hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).digest()[:16])


def fingerprint_of(use: Use, *more: Any) -> UUID:
    # As asked and not as priced: a retry is the same wish, even when the cost has changed in between.
    asked = (use.action, use.amount, use.quantity, use.unit or CREDIT if use.action is None else None)
    return fingerprint(asked, use.reference, dict(use.metadata) if use.metadata else None, *more)


def _is_storable(text: str) -> bool:
    """Printable rules out NUL and lone surrogates, which PostgreSQL cannot store."""
    return text == "" or text.isprintable()
