"""Corrections of a wallet by hand: with a reason, by whoever may, and by two people above a limit."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Abs
from django.utils import timezone

from ledger import transfers
from ledger.ids import first_at
from ledger.money import LARGEST_MINOR, Money
from ledger.transfers import Move
from wallets import sellers
from wallets.errors import AdjustmentState, InsufficientFunds, InvalidValue, KeyReused, SameOperator
from wallets.models import Adjustment, AdjustmentStatus, Wallet

LONGEST_REASON = 300


@transaction.atomic
def request(*, wallet: Wallet, amount: Money, reason: str, key: str, by: User) -> Adjustment:
    """Give (above zero) or take (below zero). A small one is booked at once, a large one waits for another person."""
    if amount.unit != wallet.currency or not 0 < abs(amount.minor) <= LARGEST_MINOR:
        raise InvalidValue("amount", f"An amount is a whole number of {wallet.currency}, and not zero.")
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise InvalidValue("reason", f"Say why, in at most {LONGEST_REASON} characters.")
    sellers.lock([wallet.pk])
    if found := Adjustment.objects.filter(key=key).first():
        if (found.wallet_id, found.amount_minor) != (wallet.pk, amount.minor):
            raise KeyReused(key)
        return found
    made = Adjustment.objects.create(wallet=wallet, key=key, amount_minor=amount.minor, reason=reason, requested_by=by)
    alone = _booked_alone(wallet, by) + abs(amount.minor)
    limit = settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR.get(wallet.currency, LARGEST_MINOR)
    return made if alone > limit else _book(made)


def _booked_alone(wallet: Wallet, by: User) -> int:
    """By this person in the last day: a large correction in small pieces is a large one."""
    since = first_at(timezone.now() - timedelta(days=1))
    mine = wallet.adjustments.filter(requested_by=by, decided_by=None, status=AdjustmentStatus.BOOKED, pk__gte=since)
    return int(mine.aggregate(sum=Sum(Abs("amount_minor")))["sum"] or 0)


@transaction.atomic
def approve(*, adjustment: Adjustment, by: User) -> Adjustment:
    current = _lock(adjustment)
    if current.requested_by_id == by.pk:
        raise SameOperator
    current.decided_by = by
    return _book(current)


@transaction.atomic
def reject(*, adjustment: Adjustment, by: User) -> Adjustment:
    """Whoever may adjust may also say no; also whoever has asked for it."""
    current = _lock(adjustment)
    current.status, current.decided_by = AdjustmentStatus.REJECTED, by
    current.save(update_fields=["status", "decided_by"])
    return current


def _lock(adjustment: Adjustment) -> Adjustment:
    sellers.lock([adjustment.wallet_id])
    current = Adjustment.objects.select_related("wallet").get(pk=adjustment.pk)
    if current.status != AdjustmentStatus.REQUESTED:
        raise AdjustmentState(current.status)
    return current


def _book(adjustment: Adjustment) -> Adjustment:
    wallet, locked = sellers.lock_one(adjustment.wallet)
    ours = sellers.house("adjustments", wallet.currency)
    amount = Money(abs(adjustment.amount_minor), wallet.currency)
    if adjustment.amount_minor > 0:
        moves = sellers.moves_to_available(wallet, locked, ours, amount)
    else:
        account = locked[wallet.available_id]
        free = Money(account.balance - account.held, wallet.currency)
        if amount > free:
            raise InsufficientFunds(needed=amount, available=free)
        moves = [Move(wallet.available, ours, amount)]
    metadata = {"adjustment": str(adjustment.pk), "reason": adjustment.reason, "by": adjustment.requested_by_id}
    entry = transfers.post(key=f"adjustment:{adjustment.pk}", kind="adjustment", moves=moves, metadata=metadata)
    adjustment.status, adjustment.entry = AdjustmentStatus.BOOKED, entry
    adjustment.save(update_fields=["status", "entry", "decided_by"])
    return adjustment
