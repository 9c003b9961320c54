"""The four verbs by which value moves: post, hold, settle, void; and reverse, which posts the opposite.

Each is one transaction of a few statements: claim the key, lock the guarded accounts in primary-key order, write the
entry and its transfers, change the balances. What is refused leaves nothing behind, not even its key.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Sum
from django.utils import timezone

from ledger import accounts
from ledger.errors import (
    AboveEntry,
    AboveHold,
    HoldResolved,
    InsufficientFunds,
    InvalidAmount,
    InvalidKey,
    KeyReused,
    NotGuarded,
    NotReversible,
    UnitMismatch,
    UnknownAccount,
    UnknownHold,
)
from ledger.models import Account, Entry, EntryKey, Hold, HoldState, Transfer
from ledger.money import LARGEST_MINOR, Money

LONGEST_KEY = 400


@dataclass(frozen=True, slots=True)
class Move:
    """Value that goes from one account to another."""

    source: Account
    target: Account
    amount: Money


@dataclass(frozen=True, slots=True)
class Reserve:
    """Value to be held on a guarded account."""

    account: Account
    amount: Money


@dataclass(frozen=True, slots=True)
class Part:
    """What becomes of a hold: an amount of it, or all of it, goes to the target. What no part takes is freed."""

    hold: Hold
    target: Account
    amount: Money | None = None


@dataclass(slots=True)
class Change:
    """What an act does to one guarded account."""

    balance: int = 0
    held: int = 0


# ---------------------------------------------------------------- the verbs


@transaction.atomic
def post(
    *,
    key: str,
    kind: str,
    moves: Sequence[Move],
    metadata: Mapping[str, Any] | None = None,
    fingerprint: uuid.UUID | None = None,
) -> Entry:
    """Move value now. The same key and the same moves return the entry that they booked (`is_replay`).

    A caller whose moves depend on balances gives the fingerprint of what it was asked, so that the same question is
    the same act even when the moves would differ by now.
    """
    _check_moves(moves)
    entry = Entry(kind=kind, metadata=dict(metadata or {}))
    if replay := _claim(key, entry, fingerprint or fingerprint_of(kind, _facts(moves))):
        return replay
    _write(entry, list(enumerate(moves)), _changes(moves))
    return entry


@transaction.atomic
def hold(*, key: str, reserves: Sequence[Reserve], expires_at: datetime | None = None) -> list[Hold]:
    """Reserve value on its source, all of it or none. The same key and reserves return the holds that they made."""
    _check_key(key)
    _check_reserves(reserves)
    if replay := _holds_of(key, reserves):
        return replay
    locked = accounts.lock([reserve.account for reserve in reserves])
    new = [
        Hold(key=key, number=number, account=reserve.account, amount=reserve.amount.minor, expires_at=expires_at)
        for number, reserve in enumerate(reserves)
    ]
    # A rival with the same key may have made them while we looked or waited: then the insert does nothing.
    if not _insert_holds(new):
        if replay := _holds_of(key, reserves):
            return replay
        raise KeyReused(key)
    changes: dict[int, Change] = defaultdict(Change)
    for reserve in reserves:
        changes[reserve.account.pk].held += reserve.amount.minor
    _apply(changes, locked)
    return new


@transaction.atomic
def settle(
    *,
    key: str,
    kind: str,
    parts: Sequence[Part],
    metadata: Mapping[str, Any] | None = None,
    fingerprint: uuid.UUID | None = None,
) -> Entry:
    """Turn holds into moves, as one entry: what the parts say goes to their targets, the rest of each hold is freed."""
    holds = _known_holds([part.hold for part in parts])
    moves = _moves_out_of(holds, parts)
    _check_moves(moves)
    entry = Entry(kind=kind, metadata=dict(metadata or {}))
    facts = [[str(part.hold.pk), *fact] for part, fact in zip(parts, _facts(moves), strict=True)]
    if replay := _claim(key, entry, fingerprint or fingerprint_of(kind, facts)):
        return replay
    changes = _changes(moves)
    settled: dict[uuid.UUID, int] = defaultdict(int)
    for part, move in zip(parts, moves, strict=True):
        settled[part.hold.pk] += move.amount.minor
    for each in holds.values():
        if settled[each.pk] > each.amount:
            raise AboveHold(each, each.money)
        changes[each.account_id].held -= each.amount
    locked = accounts.lock([account for move in moves for account in (move.source, move.target)])
    for each in holds.values():
        _resolve(each, HoldState.SETTLED, settled=settled[each.pk], entry=entry)
    _write(entry, list(enumerate(moves)), changes, locked)
    return entry


@transaction.atomic
def void(*, holds: Collection[Hold]) -> None:
    """Give back what was held, on all of the holds or none. Voiding twice is refused: the first time did it."""
    known = _known_holds(holds)
    locked = accounts.lock([each.account for each in known.values()])
    changes: dict[int, Change] = defaultdict(Change)
    for each in known.values():
        _resolve(each, HoldState.VOIDED)
        changes[each.account_id].held -= each.amount
    _apply(changes, locked)


@transaction.atomic
def reverse(
    *,
    key: str,
    entry: Entry,
    amounts: Mapping[int, Money] | None = None,
    kind: str = "reversal",
    metadata: Mapping[str, Any] | None = None,
    fingerprint: uuid.UUID | None = None,
) -> Entry:
    """Post the opposite of an entry: all that is left of it, or the given amounts by the number of the transfer.

    All reversals of an entry together never exceed it. Each of their transfers has the number of the one it undoes.
    """
    if entry.reverses_id is not None:
        raise NotReversible(f"The entry {entry.pk} is itself a reversal.")
    if amounts is not None and not amounts:
        raise InvalidAmount("A reversal gives at least one amount back.")
    new = Entry(kind=kind, metadata=dict(metadata or {}), reverses=entry)
    asked = sorted((number, amount.minor, amount.unit) for number, amount in amounts.items()) if amounts else "all"
    if replay := _claim(key, new, fingerprint or fingerprint_of(kind, [str(entry.pk), asked])):
        return replay
    _lock_entry(entry)
    left = left_of(entry)
    wanted = dict(amounts) if amounts else {number: move.amount for number, move in left.items() if move.amount.minor}
    if not wanted or any(number not in left or wanted[number] > left[number].amount for number in wanted):
        raise AboveEntry(entry, {number: move.amount for number, move in left.items()})
    moves = [(number, Move(left[number].target, left[number].source, wanted[number])) for number in sorted(wanted)]
    _check_moves([move for _, move in moves])
    _write(new, moves, _changes([move for _, move in moves]))
    return new


# ---------------------------------------------------------------- questions


def booked(*, key: str, fingerprint: uuid.UUID) -> Entry | None:
    """The entry that this key has booked, or None; `KeyReused` if it stands for another act."""
    found = EntryKey.objects.select_related("entry").filter(key=key).first()
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused(key)
    found.entry.is_replay = True
    return found.entry


def fingerprint_of(kind: str, facts: Sequence[Any]) -> uuid.UUID:
    """The first 128 bits of a SHA-256 over what makes an act this act."""
    text = json.dumps([kind, facts], separators=(",", ":"), ensure_ascii=True)
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def left_of(entry: Entry) -> dict[int, Move]:
    """What is left to reverse of each transfer of an entry, by its number."""
    undone = dict(
        Transfer.objects.filter(entry__reverses=entry).values_list("number").annotate(Sum("amount")).order_by("number")
    )
    rows = Transfer.objects.filter(entry=entry).select_related("source", "target").order_by("number")
    return {
        row.number: Move(row.source, row.target, Money(row.amount - undone.get(row.number, 0), row.source.unit))
        for row in rows
    }


# ---------------------------------------------------------------- what must hold before anything is written


def _check_key(key: str) -> None:
    # Printable rules out NUL and lone surrogates, which PostgreSQL cannot store.
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidKey(f"A key is a sentence of 1 to {LONGEST_KEY} printable characters, not {key!r}.")


def _check_amount(amount: Money, *held_in: Account) -> None:
    if not 0 < amount.minor <= LARGEST_MINOR:
        raise InvalidAmount(f"An amount that moves is between 1 and {LARGEST_MINOR}, not {amount.minor}.")
    for account in held_in:
        if account.pk is None:
            raise UnknownAccount(f"{account.name} is not in the books.")
        if account.unit != amount.unit:
            raise UnitMismatch(f"{account.name} is in {account.unit}; {amount} is not.")


def _check_moves(moves: Sequence[Move]) -> None:
    if not moves:
        raise InvalidAmount("An entry moves something.")
    for move in moves:
        _check_amount(move.amount, move.source, move.target)
        if move.source.pk == move.target.pk:
            raise InvalidAmount(f"{move.source.name} cannot pay itself.")


def _check_reserves(reserves: Sequence[Reserve]) -> None:
    if not reserves:
        raise InvalidAmount("A hold holds something.")
    for reserve in reserves:
        _check_amount(reserve.amount, reserve.account)
        if not reserve.account.guarded:
            raise NotGuarded(f"{reserve.account.name} is a house account: nothing can be held on it.")


def _known_holds(holds: Collection[Hold]) -> dict[uuid.UUID, Hold]:
    """The holds as the books have them; only their state can be older than now, and `_resolve` asks for it again."""
    if not holds:
        raise UnknownHold("No hold was given.")
    known = Hold.objects.select_related("account").in_bulk([each.pk for each in holds])
    for each in holds:
        if each.pk not in known:
            raise UnknownHold(f"The hold {each.key} is not in the books.")
    return known


def _moves_out_of(holds: Mapping[uuid.UUID, Hold], parts: Sequence[Part]) -> list[Move]:
    return [Move(holds[part.hold.pk].account, part.target, part.amount or holds[part.hold.pk].money) for part in parts]


def _facts(moves: Sequence[Move]) -> list[list[Any]]:
    return [[move.source.pk, move.target.pk, move.amount.minor, move.amount.unit] for move in moves]


def _changes(moves: Sequence[Move]) -> dict[int, Change]:
    """The sum of the moves on each guarded account: what only passes through need not have been there before."""
    changes: dict[int, Change] = defaultdict(Change)
    for move in moves:
        if move.source.guarded:
            changes[move.source.pk].balance -= move.amount.minor
        if move.target.guarded:
            changes[move.target.pk].balance += move.amount.minor
    return changes


# ---------------------------------------------------------------- locks and claims


def _claim(key: str, entry: Entry, fingerprint: uuid.UUID) -> Entry | None:
    """Take the key for this entry, or return the entry that has it. A rival with the same key waits here until the
    first one has committed, then finds it; or has been refused, and then it is its turn."""
    _check_key(key)
    if _insert_key(key, entry, fingerprint):
        return None
    return booked(key=key, fingerprint=fingerprint)


def _insert_key(key: str, entry: Entry, fingerprint: uuid.UUID) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_entrykey (key, entry_id, fingerprint) VALUES (%s, %s, %s) ON CONFLICT (key) DO NOTHING",
            [key, entry.pk, fingerprint],
        )
        return bool(cursor.rowcount)


def _insert_holds(holds: Sequence[Hold]) -> bool:
    """Insert the holds, or none of them if the key is taken: whoever comes second meets the first one's number 0."""
    first, *others = holds
    Hold.objects.bulk_create([first], ignore_conflicts=True)
    if not Hold.objects.filter(pk=first.pk).exists():
        return False
    Hold.objects.bulk_create(others)
    return True


def _holds_of(key: str, reserves: Sequence[Reserve]) -> list[Hold]:
    found = list(Hold.objects.select_related("account").filter(key=key).order_by("number"))
    asked = [(reserve.account.pk, reserve.amount.minor) for reserve in reserves]
    if found and [(each.account_id, each.amount) for each in found] != asked:
        raise KeyReused(key)
    return found


def _lock_entry(entry: Entry) -> None:
    """Two reversals of one entry go one after the other. Not a row lock: that would ask for the right to update rows
    which nobody may update."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('ledger.entry:' || %s, 0))", [str(entry.pk)])


def _resolve(hold: Hold, state: HoldState, *, settled: int = 0, entry: Entry | None = None) -> None:
    """Compare and set: of all who come to resolve a hold, one finds it open."""
    won = Hold.objects.filter(pk=hold.pk, state=HoldState.OPEN).update(
        state=state, settled=settled, entry=entry, resolved_at=timezone.now()
    )
    if not won:
        raise HoldResolved(Hold.objects.get(pk=hold.pk))


# ---------------------------------------------------------------- writing


def _write(
    entry: Entry,
    moves: Sequence[tuple[int, Move]],
    changes: Mapping[int, Change],
    locked: Mapping[int, Account] | None = None,
) -> None:
    if locked is None:
        locked = accounts.lock([account for _, move in moves for account in (move.source, move.target)])
    entry.save()
    Transfer.objects.bulk_create(
        Transfer(entry=entry, number=number, source=move.source, target=move.target, amount=move.amount.minor)
        for number, move in moves
    )
    _apply(changes, locked)


def _apply(changes: Mapping[int, Change], locked: Mapping[int, Account]) -> None:
    """Write the balances, after every account has been asked: the first that would fall too low says so."""
    for pk, change in changes.items():
        account = locked[pk]
        free = account.balance + change.balance - account.held - change.held
        if free < account.floor:
            raise InsufficientFunds(account, Money(account.floor - free, account.unit))
    for pk, change in sorted(changes.items()):
        Account.objects.filter(pk=pk).update(balance=F("balance") + change.balance, held=F("held") + change.held)
