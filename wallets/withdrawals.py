"""Withdrawals: what a seller asks for is held at once; people decide; a payout sweep of billing sends it.

Every step is one compare and set, with its line in the history and its event. The sweep calls, in this order:
`to_send` and `mark_sending` before the gateway is called; `mark_paid`, `mark_failed`, `mark_uncertain` or `mark_unsent`
when it has answered; the same again once the gateway was asked; and `mark_returned` for what was paid and came back.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from events import outbox
from events.types import EventType
from ledger import accounts, ids, transfers
from ledger.models import Account, Hold
from ledger.money import LARGEST_MINOR, Money
from ledger.transfers import Part, Reserve
from wallets import balances, destinations, sellers
from wallets.destinations import Asked
from wallets.errors import (
    BelowMinimum,
    DailyMaximumReached,
    InsufficientFunds,
    InvalidValue,
    KeyReused,
    SameOperator,
    WithdrawalOpen,
    WithdrawalState,
)
from wallets.models import Wallet, Withdrawal, WithdrawalStep
from wallets.models import WithdrawalStatus as Status

LONGEST_KEY = 255
LONGEST_REASON = 300
FIRST_OF_TWO = "approved by a first person"  # as it stands in the history; pages translate it


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a withdrawal of an amount would cost and meet, before it is asked for."""

    amount: Money
    fee: Money
    minimum: Money
    maximum_per_day: Money | None
    left_today: Money | None
    is_automatic: bool
    needs_two: bool

    @property
    def payout(self) -> Money:
        return self.amount - self.fee


# ---------------------------------------------------------------- what it costs, and what is allowed


def quote(wallet: Wallet, amount: Money) -> Quote:
    """The terms for an amount today (UTC). Nothing is checked here: `request` refuses what does not fit."""
    currency = wallet.currency
    fee = amount.share(settings.WALLETS_WITHDRAWAL_FEE_BASIS_POINTS).minor
    fee += settings.WALLETS_WITHDRAWAL_FEE_MINOR.get(currency, 0)
    most = settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR.get(currency)
    return Quote(
        amount=amount,
        fee=Money(fee, currency),
        minimum=Money(max(settings.WALLETS_WITHDRAWAL_MINIMUM_MINOR.get(currency, 1), fee + 1), currency),
        maximum_per_day=None if most is None else Money(most, currency),
        left_today=None if most is None else Money(max(most - _asked_today(wallet), 0), currency),
        is_automatic=_in_pieces(wallet, amount, is_automatic=True)
        <= settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR.get(currency, 0),
        needs_two=_in_pieces(wallet, amount, needs_two=False)
        > settings.WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR.get(currency, LARGEST_MINOR),
    )


def _in_pieces(wallet: Wallet, amount: Money, **seen_by: bool) -> int:
    """With what was asked for in the last day and seen by as few: a large one in small pieces is a large one."""
    return amount.minor + _asked_since(timezone.now() - timedelta(days=1), wallet, **seen_by)


def _asked_today(wallet: Wallet) -> int:
    return _asked_since(datetime.combine(timezone.now().astimezone(UTC).date(), time.min, UTC), wallet)


def _asked_since(moment: datetime, wallet: Wallet, **those: bool) -> int:
    counted = Withdrawal.objects.filter(wallet=wallet, pk__gte=ids.first_at(moment), **those).exclude(
        status__in=[Status.FAILED, Status.REJECTED, Status.CANCELLED, Status.RETURNED]
    )
    return int(counted.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


# ---------------------------------------------------------------- the seller's acts


@transaction.atomic
def request(*, user: User, amount: Money, destination: Asked, key: str) -> Withdrawal:
    """Ask for money: it is held at once. The same key and wish return the withdrawal that they made."""
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise InvalidValue("key", f"A key has 1 to {LONGEST_KEY} printable characters.")
    if not 0 < amount.minor <= LARGEST_MINOR:
        raise InvalidValue("amount", f"An amount is a whole number from 1 to {LARGEST_MINOR}.")
    wallet, locked = sellers.lock_one(sellers.open(user, amount.unit))
    if found := Withdrawal.objects.select_related("destination").filter(key=key).first():
        return _replay(found, wallet, amount, destination)
    terms = quote(wallet, amount)
    _check(wallet, locked, terms)
    goal = destinations.remember(wallet.seller, destination)
    made = Withdrawal.objects.create(
        wallet=wallet,
        key=key,
        amount_minor=amount.minor,
        fee_minor=terms.fee.minor,
        destination=goal,
        not_before=goal.usable_from,
        needs_two=terms.needs_two and not terms.is_automatic,
    )
    transfers.hold(key=made.hold_key, reserves=[Reserve(wallet.available, amount)])
    _note(made, Status.REQUESTED, by=user)
    if terms.is_automatic:
        _move(made, Status.APPROVED, of=(Status.REQUESTED,), is_automatic=True)
        _note(made, Status.APPROVED, facts={"is_automatic": True})
    return made


def _check(wallet: Wallet, locked: dict[int, Account], terms: Quote) -> None:
    """Funds come first: of ten who ask for the same money, nine hear that it is gone."""
    if terms.amount < terms.minimum:
        raise BelowMinimum(terms.minimum)
    account = locked[wallet.available_id]
    available = Money(account.balance - account.held, wallet.currency)
    if terms.amount > available:
        raise InsufficientFunds(needed=terms.amount, available=available, upcoming=balances.upcoming(wallet))
    if terms.maximum_per_day and terms.left_today is not None and terms.amount > terms.left_today:
        raise DailyMaximumReached(terms.maximum_per_day, terms.left_today)
    if settings.WALLETS_ONE_OPEN_WITHDRAWAL and (
        other := Withdrawal.objects.open().filter(wallet=wallet).order_by("id").first()
    ):
        raise WithdrawalOpen(other)


def _replay(found: Withdrawal, wallet: Wallet, amount: Money, asked: Asked) -> Withdrawal:
    goal = found.destination
    same = (goal.kind, goal.value, goal.operator) == (asked.kind, asked.value, asked.operator)
    if found.wallet_id != wallet.pk or found.amount_minor != amount.minor or not same:
        raise KeyReused(found.key)
    found.wallet, found.is_replay = wallet, True
    return found


@transaction.atomic
def cancel(*, withdrawal: Withdrawal, by: User | None = None) -> Withdrawal:
    """The seller takes it back, as long as it was not sent."""
    return _give_back(withdrawal, Status.CANCELLED, of=(Status.REQUESTED, Status.APPROVED), by=by)


# ---------------------------------------------------------------- the operators' acts


@transaction.atomic
def approve(*, withdrawal: Withdrawal, by: User) -> Withdrawal:
    """Let it be sent. A large one needs this of two different people; the first one is remembered."""
    current = _lock(withdrawal)
    _refuse_unless(current, Status.REQUESTED)
    if current.needs_two and current.first_approved_by_id is None:
        Withdrawal.objects.filter(pk=current.pk, first_approved_by=None).update(first_approved_by=by)
        current.first_approved_by = by
        WithdrawalStep.objects.create(withdrawal=current, status=Status.REQUESTED, by=by, note=FIRST_OF_TWO)
        return current
    if current.first_approved_by_id == by.pk:
        raise SameOperator
    _move(current, Status.APPROVED, of=(Status.REQUESTED,), approved_by=by)
    _note(current, Status.APPROVED, by=by)
    return current


@transaction.atomic
def reject(*, withdrawal: Withdrawal, reason: str, by: User) -> Withdrawal:
    """Refuse it, with a reason that the seller reads; the money, fee and all, is available again."""
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise InvalidValue("reason", f"Say why, in at most {LONGEST_REASON} characters.")
    return _give_back(withdrawal, Status.REJECTED, of=(Status.REQUESTED, Status.APPROVED), by=by, reason=reason)


# ---------------------------------------------------------------- the payout sweep's acts


@transaction.atomic
def mark_sending(*, withdrawal: Withdrawal, gateway: str) -> bool:
    """Claim an approved one before its gateway is called. Of all who come, one hears true and calls."""
    current = _lock(withdrawal)
    if current.status != Status.APPROVED or current.not_before > timezone.now():
        return False
    _move(current, Status.SENDING, of=(Status.APPROVED,), gateway=gateway)
    WithdrawalStep.objects.create(withdrawal=current, status=Status.SENDING, note=gateway)
    return True


@transaction.atomic
def mark_unsent(*, withdrawal: Withdrawal, note: str = "") -> Withdrawal:
    """The gateway has surely not acted: it may be sent again, by this gateway or another."""
    current = _lock(withdrawal)
    _move(current, Status.APPROVED, of=(Status.SENDING, Status.UNCERTAIN), gateway="")
    WithdrawalStep.objects.create(withdrawal=current, status=Status.APPROVED, note=note[:LONGEST_REASON])
    return current


@transaction.atomic
def mark_uncertain(*, withdrawal: Withdrawal, gateway_reference: str = "") -> Withdrawal:
    """The gateway may have acted: it is asked about this one, never sent another. Twice is once."""
    current = _lock(withdrawal)
    if current.status != Status.UNCERTAIN:
        _move(current, Status.UNCERTAIN, of=(Status.SENDING,), **_reference(gateway_reference))
        WithdrawalStep.objects.create(withdrawal=current, status=Status.UNCERTAIN)
    return current


@transaction.atomic
def mark_paid(*, withdrawal: Withdrawal, gateway_reference: str = "") -> Withdrawal:
    """The money has left: the hold becomes a payout, and the fee ours. Twice is once."""
    current = _lock(withdrawal)
    if current.status == Status.PAID:
        return current
    _refuse_unless(current, Status.SENDING, Status.UNCERTAIN)
    hold, currency = _hold(current), current.wallet.currency
    parts = [Part(hold, sellers.house(f"gateway:{current.gateway}", currency), current.payout)]
    if current.fee_minor:
        parts.append(Part(hold, sellers.house("revenue:withdrawals", currency), current.fee))
    metadata = {"withdrawal": str(current.pk)}
    entry = transfers.settle(key=f"withdrawal:{current.pk}", kind="withdrawal", parts=parts, metadata=metadata)
    of = (Status.SENDING, Status.UNCERTAIN)
    _move(current, Status.PAID, of=of, entry=entry, resolved_at=timezone.now(), **_reference(gateway_reference))
    _note(current, Status.PAID, facts={"gateway": current.gateway})
    return current


@transaction.atomic
def mark_failed(*, withdrawal: Withdrawal, reason: str) -> Withdrawal:
    """The gateway said no for good: the money, fee and all, is available again. Twice is once."""
    if _lock(withdrawal).status == Status.FAILED:
        return _lock(withdrawal)
    return _give_back(withdrawal, Status.FAILED, of=(Status.SENDING, Status.UNCERTAIN), reason=reason[:LONGEST_REASON])


@transaction.atomic
def mark_returned(*, withdrawal: Withdrawal, reason: str) -> Withdrawal:
    """What was paid came back to us: the seller has it again, fee and all. Twice is once."""
    current = _lock(withdrawal)
    if current.status == Status.RETURNED:
        return current
    _refuse_unless(current, Status.PAID)
    assert current.entry is not None  # noqa: S101 - the database says so of what is paid
    metadata = {"withdrawal": str(current.pk)}
    key = f"withdrawal:{current.pk}:returned"
    transfers.reverse(key=key, entry=current.entry, kind="withdrawal.returned", metadata=metadata)
    sellers.repay(current.wallet, key=f"withdrawal:{current.pk}", metadata=metadata)
    _move(current, Status.RETURNED, of=(Status.PAID,), resolved_at=timezone.now(), reason=reason[:LONGEST_REASON])
    _note(current, Status.RETURNED, note=current.reason, facts={"reason": current.reason})
    return current


def _reference(found: str) -> dict[str, str]:
    return {"gateway_reference": found} if found else {}


# ---------------------------------------------------------------- what they share

_EVENTS = {
    Status.REQUESTED: EventType.WITHDRAWAL_REQUESTED,
    Status.APPROVED: EventType.WITHDRAWAL_APPROVED,
    Status.REJECTED: EventType.WITHDRAWAL_REJECTED,
    Status.PAID: EventType.WITHDRAWAL_PAID,
    Status.FAILED: EventType.WITHDRAWAL_FAILED,
    Status.RETURNED: EventType.WITHDRAWAL_FAILED,  # to the seller it is the same: the money is back in the wallet
    Status.CANCELLED: EventType.WITHDRAWAL_CANCELLED,
}


def _lock(withdrawal: Withdrawal) -> Withdrawal:
    """The withdrawal as it is now, behind its wallet's lock."""
    rows = Wallet.objects.select_related("seller__user", "available", "debt")
    wallet = sellers.locked(rows).get(pk=withdrawal.wallet_id)
    found = Withdrawal.objects.select_related("destination", "entry").get(pk=withdrawal.pk)
    found.wallet = wallet
    return found


def _refuse_unless(withdrawal: Withdrawal, *of: Status) -> None:
    if withdrawal.status not in of:
        raise WithdrawalState(withdrawal.status)


def _move(withdrawal: Withdrawal, to: Status, *, of: tuple[Status, ...], **facts: Any) -> None:
    """Compare and set; who finds it moved on is told how it stands."""
    won = Withdrawal.objects.filter(pk=withdrawal.pk, status__in=of).update(status=to, **facts)
    if not won:
        raise WithdrawalState(Withdrawal.objects.get(pk=withdrawal.pk).status)
    withdrawal.status = to
    for name, value in facts.items():
        setattr(withdrawal, name, value)


def _give_back(
    withdrawal: Withdrawal, to: Status, *, of: tuple[Status, ...], by: User | None = None, reason: str = ""
) -> Withdrawal:
    current = _lock(withdrawal)
    _move(current, to, of=of, resolved_at=timezone.now(), reason=reason)
    accounts.lock([current.wallet.available, current.wallet.debt])
    transfers.void(holds=[_hold(current)])
    sellers.repay(current.wallet, key=f"withdrawal:{current.pk}", metadata={"withdrawal": str(current.pk)})
    _note(current, to, by=by, note=reason, facts={"reason": reason} if reason or to == Status.FAILED else {})
    return current


def _hold(withdrawal: Withdrawal) -> Hold:
    return Hold.objects.select_related("account").get(key=withdrawal.hold_key)


def _note(
    withdrawal: Withdrawal,
    status: Status,
    *,
    by: User | None = None,
    note: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    """The line in the history, and the event that tells the seller."""
    WithdrawalStep.objects.create(withdrawal=withdrawal, status=status, by=by, note=note)
    data = {
        "withdrawal": withdrawal.pk,
        "amount": withdrawal.amount_minor,
        "fee": withdrawal.fee_minor,
        "currency": withdrawal.wallet.currency,
        "destination": withdrawal.destination.kind,
    }
    outbox.record(user=withdrawal.wallet.seller.user, type=_EVENTS[status], data=data | (facts or {}))
