"""Statements: what was on an account at any instant, and what moved on it last."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from ledger import accounts
from ledger.errors import UnknownAccount
from ledger.ids import first_at
from ledger.models import Account
from ledger.money import Money


@dataclass(frozen=True, slots=True)
class Line:
    """One transfer as its account sees it: what came (or, negative, went), and what was there after it."""

    entry_id: uuid.UUID
    number: int
    at: datetime
    kind: str
    key: str
    other: str
    amount: Money
    balance: Money


def balance_at(account: Account, instant: datetime) -> Money:
    """What was on the account just before the instant: what is there now, less all that has moved from then on.

    Counted backwards, so that a recent instant is cheap however long the history.
    """
    asked: dict[str, Any] = {"account": account.pk, "entry": first_at(instant)}
    if account.guarded:
        sql = _GUARDED_BALANCE_AT
    else:
        sql = _HOUSE_BALANCE_AT
        asked["total"], asked["mark"] = accounts.rolled_up(account)
    with connection.cursor() as cursor:
        cursor.execute(sql, asked)
        row = cursor.fetchone()
    if row is None:
        raise UnknownAccount(f"{account.name} is not in the books.")
    return Money(int(row[0]), account.unit)


def latest(account: Account, *, count: int) -> list[Line]:
    """The newest lines of an account, newest first."""
    now = accounts.balance_of(account)
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, {"account": account.pk, "count": count})
        rows = cursor.fetchall()
    result = []
    for entry_id, number, at, kind, key, other, minor in rows:
        amount = Money(minor, account.unit)
        result.append(Line(entry_id, number, at, kind, key, other, amount, now))
        now -= amount
    return result


# Entries are found by their ids, which begin with the time: the indexes of both sides are in that order.
_MOVED_FROM = """
    (SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE target_id = %(account)s AND entry_id >= %(entry)s)
  - (SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE source_id = %(account)s AND entry_id >= %(entry)s)
"""
_GUARDED_BALANCE_AT = f"SELECT balance - ({_MOVED_FROM}) FROM ledger_account WHERE id = %(account)s AND guarded"  # noqa: S608
_HOUSE_BALANCE_AT = f"""
    SELECT %(total)s
         + (SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE target_id = %(account)s AND txid >= %(mark)s)
         - (SELECT coalesce(sum(amount), 0) FROM ledger_transfer WHERE source_id = %(account)s AND txid >= %(mark)s)
         - ({_MOVED_FROM})
"""  # noqa: S608
_SIDES = """
    SELECT entry_id, number, target_id AS other_id, -amount AS amount
      FROM ledger_transfer WHERE source_id = %(account)s
     UNION ALL
    SELECT entry_id, number, source_id, amount FROM ledger_transfer WHERE target_id = %(account)s
"""
_NAMED = """
    SELECT side.entry_id, side.number, entry.created_at, entry.kind, entry_key.key, other.name, side.amount
      FROM ({sides}) side
      JOIN ledger_entry entry ON entry.id = side.entry_id
      JOIN ledger_entrykey entry_key ON entry_key.entry_id = side.entry_id
      JOIN ledger_account other ON other.id = side.other_id
"""
_NEWEST = f"SELECT * FROM ({_SIDES}) both_sides ORDER BY entry_id DESC, number DESC LIMIT %(count)s"  # noqa: S608
_LATEST = f"{_NAMED.format(sides=_NEWEST)} ORDER BY side.entry_id DESC, side.number DESC"
