"""Holds: reserve credits for work that is under way, then settle what it used, or release them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from credits import asked, errors, procedures, usage
from credits.asked import Use
from credits.models import Hold, HoldState
from credits.usage import Spent
from events import hints

_HOLD = """
    SELECT * FROM credits_hold($1::bigint, $2::text, $3::bigint, $4::text, $5::uuid, $6::text, $7::int, $8::bigint,
                               $9::text, $10::jsonb, $11::uuid, $12::timestamptz, $13::int, $14::timestamptz,
                               $15::boolean)
"""
_SETTLE = "SELECT * FROM credits_settle($1::bigint, $2::uuid, $3::bigint, $4::int, $5::timestamptz)"
_RELEASE = "SELECT * FROM credits_release($1::bigint, $2::uuid, $3::text, $4::int, $5::timestamptz)"
_EXPIRE = "SELECT credits_expire_holds(%s::int, %s::int, %s::timestamptz)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A hold that was made. `available` is what is left beside it."""

    id: UUID
    unit: str
    amount: int
    available: int
    state: str
    version: int
    at: datetime
    expires_at: datetime
    is_replay: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A hold that was given back."""

    id: UUID
    amount: int
    available: int
    state: str
    version: int


def reserve(
    *,
    user: User,
    key: str,
    action: str | None = None,
    amount: int | None = None,
    quantity: int | None = None,
    unit: str | None = None,
    reference: str = "",
    metadata: dict[str, Any] | None = None,
    seconds: int | None = None,
    token_id: UUID | None = None,
    by_customer: bool = False,
    at: datetime | None = None,
) -> Held:
    """Reserve what an action costs at most, or an amount, for so many seconds (CREDITS_HOLD_SECONDS unless said).

    The same key and the same wish return the hold that they made, whatever has become of it. `by_customer` says that
    the customer themselves asks, who may end this hold as well; a key of theirs is never one of ours.
    """
    use = Use(
        key=key, action=action, amount=amount, quantity=quantity, unit=unit, reference=reference, metadata=metadata
    )
    stored = asked.check(use)
    priced = asked.price(use, at, ceiling=True)
    answer = procedures.call(
        _HOLD,
        (
            user.pk,
            priced.money.unit,
            priced.money.minor,
            key,
            asked.fingerprint_of(use, seconds),
            priced.action,
            priced.cost_version,
            quantity or 1,
            reference,
            stored,
            token_id,
            _expiry(seconds, at),
            settings.CREDITS_LOW_PERCENT,
            at,
            by_customer,
        ),
        key=key,
    )
    hints.changed(user.pk)
    return Held(
        id=answer.id,
        unit=answer.unit,
        amount=answer.amount,
        available=answer.available,
        state=answer.state,
        version=answer.version,
        at=answer.at,
        expires_at=datetime.fromisoformat(answer.facts["expires_at"]),
        is_replay=answer.is_replay,
    )


def settle(*, hold: UUID, amount: int | None = None, user: User | None = None, at: datetime | None = None) -> Spent:
    """Use an amount of a hold, all of it unless said, and free the rest. With `user`, another's hold is not found.

    A hold that has expired is settled too, as a spend of now would be: if the balance still allows or the customer may
    owe, and within the limits. The work was done.
    """
    if amount is None:
        amount = _amount_of(hold)
    asked.check_amount(amount)
    answer = procedures.call(_SETTLE, (user.pk if user else None, hold, amount, settings.CREDITS_LOW_PERCENT, at))
    hints.changed(user.pk if user else _owner_of(hold))
    return usage.spent(answer)


def release(*, hold: UUID, user: User | None = None, at: datetime | None = None) -> Released:
    """Give a hold back. With `user`, another's hold is not found."""
    answer = procedures.call(
        _RELEASE, (user.pk if user else None, hold, HoldState.RELEASED.value, settings.CREDITS_LOW_PERCENT, at)
    )
    hints.changed(user.pk if user else _owner_of(hold))
    return Released(
        id=answer.id,
        amount=answer.amount,
        available=answer.available,
        state=answer.state,
        version=answer.version,
    )


def check_own(*, hold: UUID, user: User) -> None:
    """Refuses a hold that the customer did not make themselves: it is not theirs to end."""
    if not Hold.objects.filter(pk=hold, purse__user=user, is_customers_own=True).exists():
        raise errors.NotYours


def expire_due(at: datetime | None = None) -> int:
    """Release every hold whose time is over, in batches that each lock their customers briefly."""
    total = 0
    while True:
        ((expired,),) = procedures.rows(_EXPIRE, (settings.CREDITS_SWEEP_BATCH, settings.CREDITS_LOW_PERCENT, at))
        total += int(expired)
        if expired == 0:
            return total
        hints.recorded()


def _owner_of(hold: UUID) -> int:
    return Hold.objects.values_list("purse__user_id", flat=True).get(pk=hold)


def _amount_of(hold: UUID) -> int:
    amount = Hold.objects.filter(pk=hold).values_list("amount", flat=True).first()
    if amount is None:
        raise errors.NotYours
    return amount


def _expiry(seconds: int | None, at: datetime | None) -> datetime:
    lasting = settings.CREDITS_HOLD_SECONDS if seconds is None else seconds
    longest = settings.CREDITS_HOLD_LONGEST_SECONDS
    if type(lasting) is not int or not 0 < lasting <= longest:
        raise errors.InvalidUse("seconds", f"A hold lasts from 1 to {longest} seconds.")
    return (at or timezone.now()) + timedelta(seconds=lasting)
