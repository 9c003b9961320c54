"""What has become of a customer's credits: transactions, where each credit came from and went, and what is to come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from credits import balances
from credits.balances import OpenGrant
from ledger import ids
from ledger.money import CREDIT

LARGEST_PAGE = 500
FOR_EVER_DAYS = 36_500.0  # nobody plans for later, and dates end somewhere
_NEWEST = UUID(int=(1 << 128) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One entry of the books as its customer sees it: what it changed over all their grants and their debt.

    A repayment changes nothing on the whole, and metered use nothing at all: that is in `metered`.
    """

    id: UUID
    kind: str
    at: datetime
    change: int
    metered: int
    action: str
    reference: str
    reverses: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened to a grant, and what was left of it then."""

    entry: UUID
    kind: str
    at: datetime
    change: int
    left: int
    action: str
    reference: str


@dataclass(slots=True, kw_only=True)
class Lot:
    """A grant, or what the customer owes, from its birth on."""

    id: UUID | None  # None for the debt
    source: str
    expires_at: datetime | None
    lines: list[Line] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.lines[-1].left if self.lines else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every credit of a customer up to an instant. The lines of all lots sum to the balance of that instant."""

    unit: str
    balance: int
    lots: list[Lot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """If use goes on as in the last days: when the credits run out, and which of them expire before they are used."""

    used_per_day: float
    runs_out_at: datetime | None
    lost: dict[UUID, int]


# For each of the customer's accounts its own newest entries, by index; so a page costs the same however long the past.
# Whole entries: one may move several parts into one account, and a page that cut it would show a part of its change.
_TRANSACTIONS = """
    WITH purse AS (
        SELECT id, debt_account_id FROM credits_purse WHERE user_id = %(user)s AND unit = %(unit)s
    ), mine AS (
        SELECT g.account_id FROM credits_grant g JOIN purse ON g.purse_id = purse.id
         UNION ALL SELECT debt_account_id FROM purse WHERE debt_account_id IS NOT NULL
    ), moved (entry_id, change) AS (
        SELECT t.entry_id, -t.amount FROM mine CROSS JOIN LATERAL (
            SELECT entry_id, sum(amount) AS amount FROM ledger_transfer
             WHERE source_id = mine.account_id AND entry_id < %(before)s
             GROUP BY entry_id ORDER BY entry_id DESC LIMIT %(limit)s) t
         UNION ALL
        SELECT t.entry_id, t.amount FROM mine CROSS JOIN LATERAL (
            SELECT entry_id, sum(amount) AS amount FROM ledger_transfer
             WHERE target_id = mine.account_id AND entry_id < %(before)s
             GROUP BY entry_id ORDER BY entry_id DESC LIMIT %(limit)s) t
         UNION ALL
        (SELECT s.entry_id, 0 FROM credits_spend s JOIN purse ON s.purse_id = purse.id
          WHERE s.metered > 0 AND s.entry_id < %(before)s ORDER BY s.entry_id DESC LIMIT %(limit)s)
         UNION ALL
        (SELECT e.id, 0 FROM credits_spend s JOIN purse ON s.purse_id = purse.id
           JOIN ledger_entry e ON e.reverses_id = s.entry_id
          WHERE s.metered > 0 AND s.reversed_amount > 0 AND e.id < %(before)s ORDER BY e.id DESC LIMIT %(limit)s)
    ), page AS (
        SELECT entry_id, sum(change)::bigint AS change FROM moved
         GROUP BY entry_id ORDER BY entry_id DESC LIMIT %(limit)s
    )
    SELECT e.id, e.kind, e.created_at, page.change, coalesce(s.metered, 0), coalesce(s.action, ''),
           coalesce(s.reference, ''), e.reverses_id
      FROM page JOIN ledger_entry e ON e.id = page.entry_id LEFT JOIN credits_spend s ON s.entry_id = e.id
     ORDER BY e.id DESC
"""

_EXPLAIN = """
    WITH purse AS (
        SELECT id, debt_account_id FROM credits_purse WHERE user_id = %(user)s AND unit = %(unit)s
    ), lots AS (
        SELECT g.account_id, g.entry_id AS born, g.source, g.expires_at
          FROM credits_grant g JOIN purse ON g.purse_id = purse.id
         UNION ALL
        SELECT debt_account_id, NULL, 'debt', NULL FROM purse WHERE debt_account_id IS NOT NULL
    ), moved AS (
        SELECT lots.account_id, t.entry_id, t.number, -t.amount AS change
          FROM lots JOIN ledger_transfer t ON t.source_id = lots.account_id
         UNION ALL
        SELECT lots.account_id, t.entry_id, t.number, t.amount
          FROM lots JOIN ledger_transfer t ON t.target_id = lots.account_id
    )
    SELECT lots.account_id, lots.born, lots.source, lots.expires_at, e.id, e.kind, e.created_at, moved.change,
           sum(moved.change) OVER (PARTITION BY lots.account_id ORDER BY moved.entry_id, moved.number)::bigint,
           coalesce(s.action, ''), coalesce(s.reference, '')
      FROM moved JOIN lots USING (account_id)
      JOIN ledger_entry e ON e.id = moved.entry_id
      LEFT JOIN credits_spend s ON s.entry_id = moved.entry_id
     WHERE moved.entry_id < %(before)s
     ORDER BY lots.account_id, moved.entry_id, moved.number
"""

_USED = """
    SELECT coalesce(sum(s.amount - s.reversed_amount), 0)::bigint
      FROM credits_spend s JOIN credits_purse p ON p.id = s.purse_id
     WHERE p.user_id = %s AND p.unit = %s AND s.metered = 0 AND s.entry_id >= %s AND s.entry_id < %s
"""

# Refunds and disputes take credits too, but by keys of their own: whoever began those has seen to what follows.
_LOST_BY_HAND = """
    WITH purse AS (
        SELECT id, debt_account_id FROM credits_purse WHERE user_id = %(user)s AND unit = %(unit)s
    ), mine AS (
        SELECT g.account_id FROM credits_grant g JOIN purse ON g.purse_id = purse.id
         UNION ALL SELECT debt_account_id FROM purse WHERE debt_account_id IS NOT NULL
    ), taken AS (
        SELECT sum(t.amount) AS amount
          FROM mine JOIN ledger_transfer t ON t.source_id = mine.account_id AND t.entry_id >= %(since)s
          JOIN ledger_entry e ON e.id = t.entry_id AND e.kind IN ('credits.adjustment', 'credits.revocation')
          JOIN ledger_entrykey k ON k.entry_id = e.id AND k.key NOT LIKE 'credits:takeback:%%'
    ), frozen AS (
        SELECT sum(a.balance - a.held) AS amount
          FROM credits_grant g JOIN purse ON g.purse_id = purse.id JOIN ledger_account a ON a.id = g.account_id
         WHERE g.is_open AND g.revoked_at IS NULL AND g.frozen_at >= %(instant)s
    ), given AS (
        SELECT sum(g.amount) AS amount FROM credits_grant g JOIN purse ON g.purse_id = purse.id
         WHERE g.source = 'manual' AND g.entry_id >= %(since)s
    )
    SELECT greatest(0, coalesce(taken.amount, 0) + coalesce(frozen.amount, 0) - coalesce(given.amount, 0))::bigint
      FROM taken, frozen, given
"""


def transactions(*, user: User, unit: str = CREDIT, before: UUID | None = None, limit: int = 50) -> list[Transaction]:
    """A page of what happened, the newest first; `before` is the id of the last one of the page before."""
    rows = _ask(
        _TRANSACTIONS,
        {"user": user.pk, "unit": unit, "before": before or _NEWEST, "limit": min(limit, LARGEST_PAGE)},
    )
    names = ("id", "kind", "at", "change", "metered", "action", "reference", "reverses")
    return [Transaction(**dict(zip(names, row, strict=True))) for row in rows]


def explain(*, user: User, unit: str = CREDIT, at: datetime | None = None) -> Explanation:
    """Each credit from its birth through its uses to its end, as of an instant (now unless said)."""
    # To the end of the instant's millisecond, which is as exactly as entries tell their time.
    before = _NEWEST if at is None else ids.first_at(at + timedelta(milliseconds=1))
    lots: dict[int, Lot] = {}
    for account, born, source, expires_at, *line in _ask(_EXPLAIN, {"user": user.pk, "unit": unit, "before": before}):
        lot = lots.setdefault(account, Lot(id=born, source=source, expires_at=expires_at))
        entry, kind, happened_at, change, left, action, reference = line
        lot.lines.append(
            Line(
                entry=entry,
                kind=kind,
                at=happened_at,
                change=change,
                left=left,
                action=action,
                reference=reference,
            )
        )
    return Explanation(unit=unit, balance=sum(lot.left for lot in lots.values()), lots=list(lots.values()))


def lost_by_hand(*, user: User, unit: str, since: datetime) -> int:
    """What operators have taken back or frozen since then, less what they have given: it was not used."""
    wanted = {"user": user.pk, "unit": unit, "since": ids.first_at(since), "instant": since}
    ((lost,),) = _ask(_LOST_BY_HAND, wanted)
    return int(lost)


def forecast(*, user: User, unit: str = CREDIT, at: datetime | None = None) -> Forecast:
    """From the use of the last CREDITS_FORECAST_DAYS days and the open grants in burn order."""
    now = at or timezone.now()
    days = settings.CREDITS_FORECAST_DAYS
    since, until = ids.first_at(now - timedelta(days=days)), ids.first_at(now + timedelta(milliseconds=1))
    ((used,),) = _ask(_USED, [user.pk, unit, since, until])
    usable = [grant for grant in balances.of(user, unit, at).grants if not grant.is_frozen]
    return foresee(usable, used / days, now)


def foresee(grants: Sequence[OpenGrant], used_per_day: float, now: datetime) -> Forecast:
    """Burn the grants at a steady rate; what a grant still has when it ends is lost."""
    if used_per_day <= 0:
        lost = {grant.id: grant.available for grant in grants if grant.expires_at and grant.available}
        return Forecast(used_per_day=0.0, runs_out_at=None, lost=lost)
    lost, moment, latest = {}, now, now + timedelta(days=FOR_EVER_DAYS)
    for grant in grants:
        done_at = min(moment + timedelta(days=min(grant.available / used_per_day, FOR_EVER_DAYS)), latest)
        if grant.expires_at is not None and grant.expires_at < done_at:
            usable_days = max((grant.expires_at - moment) / timedelta(days=1), 0.0)
            lost[grant.id] = grant.available - min(grant.available, int(usable_days * used_per_day))
            moment = max(moment, grant.expires_at)
        else:
            moment = done_at
    return Forecast(used_per_day=used_per_day, runs_out_at=moment, lost=lost)


def _ask(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
