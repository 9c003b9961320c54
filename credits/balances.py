"""How a customer stands: balance, state, open grants, and whether a use could be paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User

from credits import asked, procedures
from credits.asked import Use
from credits.models import DebtPolicy, PurseState
from ledger.money import CREDIT, LARGEST_MINOR

# One indexed read: measured cheaper than a cache of the balance, and never stale.
_BALANCE = """
    SELECT coalesce(%s::timestamptz, clock_timestamp()), p.version, p.low_percent, p.unlimited_until, p.debt_policy,
           p.debt_limit, debt.balance, debt.held,
           g.entry_id, g.source, g.amount, a.balance, a.held, g.priority, g.is_promotional, g.expires_at, g.frozen_at
      FROM credits_purse p
      LEFT JOIN ledger_account debt ON debt.id = p.debt_account_id
      LEFT JOIN credits_grant g ON g.purse_id = p.id AND g.is_open AND g.revoked_at IS NULL
      LEFT JOIN ledger_account a ON a.id = g.account_id
     WHERE p.user_id = %s AND p.unit = %s
     ORDER BY g.priority, g.expires_at, g.is_promotional DESC, g.account_id
"""


# How many customers stand at once: what streams tell when something has changed.
_FIGURES = """
    SELECT p.user_id, p.unit, p.version, p.unlimited_until > clock_timestamp(),
           coalesce(p.low_percent, %s::int), s.available, s.base, h.held
      FROM credits_purse p
     CROSS JOIN LATERAL credits_standing(p.id, clock_timestamp()) s
     CROSS JOIN LATERAL (
        SELECT coalesce(sum(a.held), 0)::bigint AS held
          FROM credits_grant g JOIN ledger_account a ON a.id = g.account_id
         WHERE g.purse_id = p.id AND g.is_open AND g.revoked_at IS NULL
     ) h
     WHERE p.user_id = ANY (%s::bigint[])
     ORDER BY p.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGrant:
    """A grant with something left, in burn order; a frozen one cannot be used for now."""

    id: UUID
    source: str
    amount: int
    available: int
    held: int
    priority: int
    is_promotional: bool
    expires_at: datetime | None
    is_frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a customer has of a unit. `available` is their own credits; `may_owe` what debt could pay on top."""

    unit: str
    available: int = 0
    held: int = 0
    owed: int = 0
    may_owe: int = 0
    unlimited_until: datetime | None = None
    state: str = PurseState.EMPTY.value
    version: int = 0
    grants: tuple[OpenGrant, ...] = ()

    @property
    def is_unlimited(self) -> bool:
        return self.unlimited_until is not None

    @property
    def next_expiry(self) -> OpenGrant | None:
        """The open grant that ends first."""
        ending = [(grant.expires_at, place) for place, grant in enumerate(self.grants) if grant.expires_at]
        return self.grants[min(ending)[1]] if ending else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a use would cost now, and whether it could be paid."""

    unit: str
    cost: int
    available: int
    missing: int
    is_unlimited: bool

    @property
    def can_pay(self) -> bool:
        return self.missing == 0


def of(user: User, unit: str = CREDIT, at: datetime | None = None) -> Balance:
    asked.check_unit(unit)
    found = procedures.rows(_BALANCE, (at, user.pk, unit))
    if not found:
        return Balance(unit=unit)
    now, version, low_percent, unlimited_until, policy, debt_limit, debt, debt_held = found[0][:8]
    grants = tuple(grant for row in found if (grant := _open_grant(row[8:], now)))
    usable = [grant for grant in grants if not grant.is_frozen]
    available = sum(grant.available for grant in usable)
    base = sum(grant.amount for grant in usable)
    low = settings.CREDITS_LOW_PERCENT if low_percent is None else low_percent
    is_unlimited = unlimited_until is not None and unlimited_until > now
    return Balance(
        unit=unit,
        available=available,
        held=sum(grant.held for grant in grants) + (debt_held or 0),
        owed=-(debt or 0),
        may_owe=_room(policy, debt_limit, (debt or 0) - (debt_held or 0)),
        unlimited_until=unlimited_until if is_unlimited else None,
        state=PurseState.OK.value if is_unlimited else _state(available, base, low),
        version=version,
        grants=grants,
    )


def figures(user_ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """The data of `credits.balance` for many customers, by their ids, one for each unit they have."""
    found: dict[int, list[dict[str, Any]]] = {}
    for user_id, unit, version, is_unlimited, low, available, base, held in procedures.rows(
        _FIGURES, (settings.CREDITS_LOW_PERCENT, list(user_ids))
    ):
        state = PurseState.OK.value if is_unlimited else _state(available, base, low)
        figure = {"unit": unit, "available": available, "held": held, "state": state, "version": version}
        found.setdefault(user_id, []).append(figure)
    return found


def estimate(
    *,
    user: User,
    action: str | None = None,
    amount: int | None = None,
    quantity: int | None = None,
    unit: str | None = None,
    at: datetime | None = None,
) -> Estimate:
    """What it would cost and what is missing for it. Limits are not looked at: they are the spend's to refuse."""
    use = Use(key="estimate", action=action, amount=amount, quantity=quantity, unit=unit)
    money = asked.price(use, at, ceiling=True).money
    balance = of(user, money.unit, at)
    missing = max(0, money.minor - balance.available)
    if balance.is_unlimited or missing <= balance.may_owe:
        missing = 0
    return Estimate(
        unit=money.unit,
        cost=money.minor,
        available=balance.available,
        missing=missing,
        is_unlimited=balance.is_unlimited,
    )


def _open_grant(row: tuple[Any, ...], now: datetime) -> OpenGrant | None:
    entry_id, source, amount, balance, held, priority, is_promotional, expires_at, frozen_at = row
    # One that is over and not swept yet has nothing left for its owner.
    if entry_id is None or (expires_at and expires_at <= now and not frozen_at):
        return None
    return OpenGrant(
        id=entry_id,
        source=source,
        amount=amount,
        available=balance - held,
        held=held,
        priority=priority,
        is_promotional=is_promotional,
        expires_at=expires_at,
        is_frozen=frozen_at is not None,
    )


def _room(policy: str, limit: int, balance: int) -> int:
    match DebtPolicy(policy):
        case DebtPolicy.FORBID:
            return 0
        case DebtPolicy.LIMITED:
            return max(0, limit + balance)
        case DebtPolicy.INVOICE:
            return LARGEST_MINOR + balance


def _state(available: int, base: int, low_percent: int) -> str:
    if available <= 0:
        return PurseState.EMPTY.value
    return (PurseState.LOW if available * 100 < base * low_percent else PurseState.OK).value
