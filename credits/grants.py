"""Grants: credits given, one or a hundred thousand at once, and the ways in which they end."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from credits import asked, errors, procedures, purses, usage
from credits.models import Grant, GrantSource, Purse
from events import hints, outbox
from events.types import EventType
from ledger.money import CREDIT
from rest import sweeps

LONGEST_KEY = 180  # `grant:<key>` is the name of an account
FREE_SOURCES = {GrantSource.BONUS, GrantSource.PROMOTION, GrantSource.MANUAL, GrantSource.REFERRAL}

_ISSUE = "SELECT key, grant_id, outcome FROM credits_issue(%s::text, %s::json, %s::int, %s::timestamptz, %s::bool)"
_LOCK = "SELECT credits_lock_purses(%s::bigint[], %s::text[])"
_EXPIRE = "SELECT credits_expire_grants(%s::int, %s::int, %s::timestamptz)"
_REVOKE = "SELECT credits_revoke(%s::bigint, %s::jsonb, %s::int, %s::timestamptz)"
_TAKE = """
    SELECT * FROM credits_take($1::bigint, $2::text, $3::bigint, $4::text, $5::uuid, $6::jsonb, $7::int,
                               $8::timestamptz)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """Credits to be given. The key says for what, for example `payment:<id>` or `subscription:12:week:34`."""

    user_id: int
    amount: int
    source: GrantSource
    key: str
    unit: str = CREDIT
    expires_at: datetime | None = None
    priority: int = 0
    is_promotional: bool | None = None  # None: by its source
    paid_minor: int | None = None
    paid_currency: str = ""
    reason: str = ""
    issued_by_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """What became of many grants: those made now, and those that their keys had made before."""

    made: int
    replayed: int
    grant_ids: dict[str, int]  # by key


def issue(
    *,
    user: User,
    amount: int,
    source: GrantSource,
    key: str,
    unit: str = CREDIT,
    expires_at: datetime | None = None,
    priority: int = 0,
    is_promotional: bool | None = None,
    paid_minor: int | None = None,
    paid_currency: str = "",
    reason: str = "",
    by: User | None = None,
    at: datetime | None = None,
) -> Grant:
    """Give credits once: the same key returns the grant that it made. What the customer owes is repaid first."""
    new = NewGrant(
        user_id=user.pk,
        amount=amount,
        source=source,
        key=key,
        unit=unit,
        expires_at=expires_at,
        priority=priority,
        is_promotional=is_promotional,
        paid_minor=paid_minor,
        paid_currency=paid_currency,
        reason=reason,
        issued_by_id=by.pk if by else None,
    )
    issued = issue_many([new], at=at)
    return Grant.objects.select_related("purse", "account").get(pk=issued.grant_ids[key])


def issue_many(rows: Sequence[NewGrant], *, at: datetime | None = None, repays: bool = True) -> Issued:
    """Give many grants in one transaction and a handful of statements for each unit, once by their keys.

    A key that stands for another grant refuses all of them. Callers with more than some ten thousand rows hand them
    over in parts, since all these customers are locked meanwhile. Who does not let them repay what their customers owe
    does so afterwards, in the same transaction.
    """
    by_unit: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_unit[row.unit].append(_checked(row))
    if len({row.key for row in rows}) != len(rows):
        raise errors.InvalidUse("key", gettext_noop("Each grant needs a key of its own."))
    outcomes: dict[str, str] = {}
    ids: dict[str, int] = {}
    for unit in sorted(by_unit):
        asked.check_unit(unit)
    with transaction.atomic():
        if len(by_unit) > 1:  # of one unit they are locked in the same order by what issues them
            procedures.rows(_LOCK, ([row.user_id for row in rows], [row.unit for row in rows]))
        for unit, items in sorted(by_unit.items()):
            text = orjson.dumps(items).decode()
            asked_for = (unit, text, settings.CREDITS_LOW_PERCENT, at, repays)
            for key, grant_id, outcome in procedures.rows(_ISSUE, asked_for):
                if outcome == "key_reused":
                    raise errors.KeyReused(key)
                outcomes[key], ids[key] = outcome, grant_id
        hints.recorded()
    made = sum(outcome == "issued" for outcome in outcomes.values())
    return Issued(made=made, replayed=len(outcomes) - made, grant_ids=ids)


def expire_due(at: datetime | None = None) -> int:
    """Book away what is left of the grants that are over, in batches. Late or not, nobody could use it any more."""
    total = 0
    while True:
        ((closed,),) = procedures.rows(_EXPIRE, (settings.CREDITS_SWEEP_BATCH, settings.CREDITS_LOW_PERCENT, at))
        total += int(closed)
        if closed == 0:
            return total
        hints.recorded()


def revoke(*, grant: Grant, reason: str, by: User | None = None, at: datetime | None = None) -> int:
    """Take a grant back; returns what was free of it. What is held of it follows when its hold is resolved.

    Doing it twice takes nothing more.
    """
    metadata = orjson.dumps({"reason": reason, "by": by.pk if by else None}).decode()
    ((taken,),) = procedures.rows(_REVOKE, (grant.pk, metadata, settings.CREDITS_LOW_PERCENT, at))
    hints.recorded()
    return int(taken)


@transaction.atomic
def freeze(*, grant: Grant, reason: str, by: User | None = None, owner: str = "", at: datetime | None = None) -> Grant:
    """Keep a grant from being used, for example while its payment is disputed. It does not expire meanwhile.

    Also one that is empty, since what is held or was spent of it may come back. What is frozen stays its first owner's.
    """
    locked, now = _lock(grant), at or timezone.now()
    if locked.frozen_at is None:
        if not locked.is_open and locked.expires_at is not None and locked.expires_at <= now:
            raise errors.GrantClosed("expired")
        locked.frozen_at, locked.frozen_for = now, owner
        locked.save(update_fields=["frozen_at", "frozen_for"])
        _after_change(locked, "frozen", reason, by, at)
    return locked


@transaction.atomic
def unfreeze(
    *, grant: Grant, reason: str, by: User | None = None, owner: str | None = None, at: datetime | None = None
) -> Grant:
    """Give a frozen grant free. The time in which it could not be used is added to its life.

    An owner ends their own freeze only; without one it ends whoever froze it.
    """
    locked = _lock(grant)
    if locked.frozen_at is not None and owner in (None, locked.frozen_for):
        now = at or timezone.now()
        if locked.expires_at is not None:
            locked.expires_at += max(now - locked.frozen_at, timedelta())
        locked.frozen_at, locked.frozen_for = None, ""
        locked.save(update_fields=["frozen_at", "frozen_for", "expires_at"])
        _after_change(locked, "unfrozen", reason, by, at)
    return locked


@transaction.atomic
def extend(
    *, grant: Grant, expires_at: datetime | None, reason: str, by: User | None = None, at: datetime | None = None
) -> Grant:
    """Let a grant live until a later instant, or for ever. What has expired already does not come back."""
    locked = _lock(grant)
    if not locked.is_open:
        raise errors.GrantClosed("used up or expired")
    if locked.expires_at is None or (expires_at is not None and expires_at <= locked.expires_at):
        raise errors.InvalidUse("expires_at", gettext_noop("A grant can only be extended."))
    if locked.frozen_at is None and locked.expires_at <= (at or timezone.now()):
        raise errors.GrantClosed("expired")
    locked.expires_at, locked.warned_at = expires_at, None
    locked.save(update_fields=["expires_at", "warned_at"])
    _after_change(locked, "extended", reason, by, at)
    return locked


def adjust(
    *,
    user: User,
    amount: int,
    reason: str,
    key: str,
    by: User | None = None,
    unit: str = CREDIT,
    expires_at: datetime | None = None,
    at: datetime | None = None,
) -> Grant | usage.Reversed:
    """Correct a balance by hand: upwards a manual grant, downwards in burn order, never below what debt allows."""
    if not reason.strip():
        raise errors.InvalidUse("reason", gettext_noop("A correction by hand needs a reason."))
    if type(amount) is int and amount > 0:
        return issue(
            user=user, amount=amount, source=GrantSource.MANUAL, key=f"adjustment:{user.pk}:{key}", unit=unit,
            expires_at=expires_at, reason=reason, by=by, at=at,
        )  # fmt: skip
    asked.check_key(key)
    less = asked.check_amount(-amount if type(amount) is int else None)
    metadata = orjson.dumps({"reason": reason, "by": by.pk if by else None}).decode()
    answer = procedures.call(
        _TAKE,
        (user.pk, unit, less, key, asked.fingerprint(less, unit), metadata, settings.CREDITS_LOW_PERCENT, at),
        key=key,
    )
    hints.changed(user.pk)
    return usage.returned(answer)


def warn_of_expiry(before: datetime) -> int:
    """Tell the owners of grants that expire before an instant, once for each grant."""
    total = 0
    while True:
        told = _warn_some(before)
        total += told
        if told == 0:
            return total


@transaction.atomic
def _warn_some(before: datetime) -> int:
    due = (
        Grant.objects.filter(is_open=True, warned_at__isnull=True, frozen_at__isnull=True, revoked_at__isnull=True)
        .filter(expires_at__gt=timezone.now(), expires_at__lte=before)
        .select_related("account", "purse__user")
    )
    grants = sweeps.free(due, by="expires_at", most=settings.CREDITS_SWEEP_BATCH)
    for grant in grants:
        data = {
            "grant": grant.entry_id,
            "unit": grant.purse.unit,
            "amount": grant.account.balance,
            "expires_at": grant.expires_at,
        }
        outbox.record(user=grant.purse.user, type=EventType.CREDITS_EXPIRING, data=data)
    Grant.objects.filter(pk__in=[grant.pk for grant in grants]).update(warned_at=timezone.now())
    return len(grants)


def _checked(row: NewGrant) -> dict[str, Any]:
    asked.check_amount(row.amount)
    if not 0 < len(row.key) <= LONGEST_KEY or not row.key.isprintable():
        raise errors.InvalidUse("key", f"A grant's key has 1 to {LONGEST_KEY} printable characters.")
    promotional = row.source in FREE_SOURCES if row.is_promotional is None else row.is_promotional
    return {
        "key": row.key,
        "user_id": row.user_id,
        "amount": row.amount,
        "source": GrantSource(row.source).value,
        "priority": row.priority,
        "is_promotional": promotional,
        "expires_at": row.expires_at,
        "paid_minor": row.paid_minor,
        "paid_currency": row.paid_currency,
        "reason": row.reason,
        "issued_by": row.issued_by_id,
    }


def _lock(grant: Grant) -> Grant:
    """The grant as it is now, behind its purse's lock."""
    Purse.objects.select_for_update(no_key=True).get(pk=grant.purse_id)
    locked = Grant.objects.select_related("purse__user").get(pk=grant.pk)
    if locked.revoked_at is not None:
        raise errors.GrantClosed("revoked")
    return locked


def _after_change(grant: Grant, change: str, reason: str, by: User | None, at: datetime | None) -> None:
    if not grant.is_open:
        return  # nothing that could be used has changed
    if change != "frozen":  # that gives nothing free, and what is frozen next is not to repay anything meanwhile
        purses.repay(grant.purse_id, at)
    purses.refresh(grant.purse_id, at)
    data = {"grant": grant.entry_id, "unit": grant.purse.unit, "amount": 0, "change": change, "reason": reason}
    outbox.record(user=grant.purse.user, type=EventType.CREDITS_ADJUSTED, data=data | {"by": by.pk if by else None})
