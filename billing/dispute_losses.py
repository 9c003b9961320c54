"""What a lost dispute takes: the bank has the money, so what is left of what it brought goes, and the rest is our loss.

What a refund holds at that moment is not left, and what it has taken is not either. When that refund ends badly
afterwards, what comes free of it is the dispute's before it is anybody else's: taken where it is lost, frozen while it
is open.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from django.conf import settings
from django.db.models import QuerySet

from billing import fulfilment, sale_payments, standing_aside, voucher_refunds
from billing.models import Dispute, Payment, Refund
from billing.models.payments import ASIDE, PaymentKind
from billing.models.refunds import DisputeState, RefundOrigin
from credits import grants, takebacks
from credits.errors import GrantClosed
from credits.models import Grant
from ledger import transfers
from ledger.models import Account
from ledger.money import Money
from ledger.transfers import Move


def stands_aside(dispute: Dispute) -> bool:
    """Its money stands in `suspense`: nothing was delivered for it."""
    return dispute.attempt.state in ASIDE


def is_of_sellers(dispute: Dispute) -> bool:
    return sale_payments.is_sale(dispute.payment) and not stands_aside(dispute)


def reason(dispute: Dispute) -> str:
    return f"dispute {dispute.gateway_id}"


def owner(dispute: Dispute) -> str:
    """All disputes about one payment freeze together: the last of them thaws."""
    return f"disputes:payment:{dispute.payment_id}"


def freeze(dispute: Dispute, rows: Iterable[Grant]) -> None:
    for grant in rows:
        with suppress(GrantClosed):  # nothing of it can come back
            grants.freeze(grant=grant, reason=reason(dispute), owner=owner(dispute))


def freeze_sales(dispute: Dispute, key: str) -> None:
    """As much as is left of the sales, and no more than it is about with what it has frozen already."""
    payment = dispute.payment
    wanted = dispute.amount_minor - sale_payments.held(payment, dispute.key)
    sale_payments.freeze(payment, key=key, amount=Money(wanted, dispute.currency), reason=reason(dispute))


# ---------------------------------------------------------------- when it is won


def free_sales(dispute: Dispute) -> None:
    """What it has frozen is free, but for what other disputes about the same payment take or freeze of it."""
    lifted = sale_payments.lift(dispute.payment, dispute.key)
    _give_to_others(dispute)
    sale_payments.repay(lifted)


def _give_to_others(dispute: Dispute) -> None:
    payment, about = dispute.payment, Dispute.objects.of_what_was_delivered
    for other in _sorted(about(payment, DisputeState.LOST).exclude(pk=dispute.pk), payment):
        _take_of_sellers(other, f"{other.key}:late:{dispute.pk}", ended=str(dispute.pk))
    for other in _sorted(about(payment, DisputeState.OPEN).exclude(pk=dispute.pk), payment):
        freeze_sales(other, other.open_key(dispute.key))


# ---------------------------------------------------------------- when it is lost


def take(dispute: Dispute) -> None:
    """All that is left of what the money brought; while it is frozen, so that it repays nothing before."""
    payment, taken_minor = dispute.payment, 0
    if payment.kind == PaymentKind.PACK and not stands_aside(dispute):
        free = {lot.key: lot.free for lot in takebacks.left_of(fulfilment.keys_of(payment))}
        _take_credits(dispute, dispute.key, _first(free, _credits_wanted(dispute)))
    if is_of_sellers(dispute):
        # Counted anew: a refund may have failed since it was frozen, or a withdrawal been taken back. It may also be
        # less than was frozen; of what is free then others take their part before it repays what the sellers owe.
        lifted = sale_payments.lift(payment, dispute.key)
        sale_payments.freeze(payment, key=f"{dispute.key}:anew", amount=dispute.money, reason=reason(dispute))
        taken_minor = sale_payments.settle(payment, dispute.key).minor
        _give_to_others(dispute)
        sale_payments.repay(lifted)
    _book_loss(dispute, taken_minor)


def _credits_wanted(dispute: Dispute) -> int:
    """The credits that its money stands for, less what it has taken."""
    payment = dispute.payment
    part = min(dispute.amount_minor, payment.amount_minor)
    wanted = fulfilment.credits_of(payment) * part // payment.amount_minor
    return wanted - takebacks.taken(keys=dispute.all_keys())


def _first(free: Mapping[str, int], wanted: int) -> dict[str, int]:
    """So many, in the order in which they are named."""
    lines = {}
    for key, amount in free.items():
        lines[key] = min(amount, wanted)
        wanted -= lines[key]
    return lines


def _take_credits(dispute: Dispute, key: str, lines: Mapping[str, int]) -> None:
    user, unit = dispute.payment.user, str(dispute.payment.details["unit"])
    takebacks.hold(user=user, unit=unit, key=key, amounts=lines)
    takebacks.take(user=user, unit=unit, key=key, metadata={"dispute": str(dispute.pk)})


def _book_loss(dispute: Dispute, taken_minor: int) -> None:
    """Sellers have borne their part of what was taken of their sales, and that is booked already."""
    unit = dispute.currency
    outside = fulfilment.gateway_account(dispute.gateway, unit)
    lost = Money(dispute.amount_minor - taken_minor, unit)
    owed = _owed_as_credits(dispute, lost)
    aside = _owed_aside(dispute, lost)
    parts = {f"vouchers:{unit}": owed, f"suspense:{unit}": aside, f"loss:{unit}": lost - owed - aside}
    moves = [Move(fulfilment.house(name, unit), outside, part) for name, part in parts.items() if part.minor]
    if fee := settings.DISPUTE_FEE_MINOR.get(unit, 0):
        moves.append(Move(fulfilment.house(f"fees:{dispute.gateway}:{unit}", unit), outside, Money(fee, unit)))
    metadata = {"dispute": str(dispute.pk), "payment": str(dispute.payment_id)}
    if moves:
        transfers.post(key=dispute.key, kind="dispute.lost", moves=moves, metadata=metadata)


def _owed_aside(dispute: Dispute, lost: Money) -> Money:
    """What stands aside and no refund takes is owed to nobody any more."""
    if not stands_aside(dispute):
        return Money(0, lost.unit)
    return Money(min(lost.minor, standing_aside.left_by_refunds(dispute.attempt, lost.unit).minor), lost.unit)


def _owed_as_credits(dispute: Dispute, lost: Money, *, without: Refund | None = None) -> Money:
    """Of credits that are taxed when they are used: what was never taxed is owed to nobody any more, and no loss."""
    if stands_aside(dispute) or not dispute.payment.details.get("tax", {}).get("at_use"):
        return Money(0, lost.unit)
    return Money(min(lost.minor, voucher_refunds.untaxed(dispute.payment, without=without)), lost.unit)


def take_what_is_held(dispute: Dispute) -> None:
    """A customer's hold may end long after: of what the bank has had whole, what is released then is nobody's."""
    payment = dispute.payment
    if payment.kind != PaymentKind.PACK or stands_aside(dispute):
        return
    lost = Dispute.objects.of_what_was_delivered(payment, DisputeState.LOST).exclude(pk=dispute.pk)
    if dispute.amount_minor + sum(each.amount_minor for each in lost) < payment.amount_minor:
        return
    for grant in takebacks.grants_of(fulfilment.keys_of(payment)):
        if grant.account.held:
            grants.revoke(grant=grant, reason=reason(dispute))


# ---------------------------------------------------------------- when a refund of the same money ends badly later


def free(refund: Refund) -> None:
    """It does not go after all: what it held is free, but for what lost disputes take of it, and open ones freeze."""
    payment, key, lost = refund.payment, refund.key, _disputes(refund, DisputeState.LOST)
    if _was_sold(refund, PaymentKind.SALE):
        lifted = sale_payments.lift(payment, key)
        for dispute in lost:
            _take_of_sellers(dispute, dispute.late_key(refund), refund=str(refund.pk))
        for dispute in _disputes(refund, DisputeState.OPEN):
            freeze_sales(dispute, dispute.open_key(key))
        sale_payments.repay(lifted)
    _take_of_what_stands_aside(refund)
    if refund.lines:  # of grants that open disputes have frozen
        held = {key: refund.lines[key] for key in fulfilment.keys_of(payment) if key in refund.lines}
        lines = {}
        for dispute in lost:
            part = lines[dispute.late_key(refund)] = _first(held, _credits_wanted(dispute))
            held = {key: amount - part[key] for key, amount in held.items()}
        unit = str(payment.details["unit"])
        takebacks.release(user=payment.user, unit=unit, key=key, instead=lines)


def give_again(refund: Refund) -> None:
    """It had arrived, and the bank sent it back to us: everybody has again what it had taken of them, but for what lost
    disputes take of it, and open ones freeze. The caller has undone it in the books."""
    payment, key, lost = refund.payment, refund.key_now, _disputes(refund, DisputeState.LOST)
    still_open = _disputes(refund, DisputeState.OPEN)
    if _was_sold(refund, PaymentKind.SALE):
        undone = sale_payments.undo(payment, refund.key)
        for dispute in lost:
            _take_of_sellers(dispute, dispute.late_key(refund), refund=str(refund.pk))
        for dispute in still_open:
            freeze_sales(dispute, dispute.open_key(f"{key}:back"))
        sale_payments.repay(undone)
    if _was_sold(refund, PaymentKind.PACK):
        unit = str(payment.details["unit"])
        takebacks.give_back(user=payment.user, unit=unit, key=key, owed=refund.credits_owed)
        names = list(takebacks.given_back(key=key).values())
        for dispute in lost:
            # What was owed is forgiven: a bank takes what is left, and makes no debt of what was spent.
            lines = _first({lot.key: lot.free for lot in takebacks.left_of(names)}, _credits_wanted(dispute))
            _take_credits(dispute, dispute.late_key(refund), lines)
            _owe_less(dispute, refund)
        for dispute in still_open:
            freeze(dispute, takebacks.grants_of(names))
        takebacks.repay(user=payment.user, unit=unit)
    _take_of_what_stands_aside(refund)


def _disputes(refund: Refund, state: DisputeState) -> list[Dispute]:
    return _sorted(Dispute.objects.of_same_money(refund, state), refund.payment)


def _sorted(disputes: QuerySet[Dispute], payment: Payment) -> list[Dispute]:
    found = list(disputes.select_related("attempt").order_by("pk"))
    for dispute in found:
        dispute.payment = payment
    return found


def _was_sold(refund: Refund, kind: PaymentKind) -> bool:
    """What was paid twice reached nobody."""
    return refund.payment.kind == kind and refund.origin != RefundOrigin.SURPLUS


def _take_of_sellers(dispute: Dispute, key: str, **because: str) -> None:
    """At the sales' own split, as if it had been there when the dispute was lost: and so it is no loss any more."""
    payment = dispute.payment
    wanted = dispute.money - Money(sale_payments.taken(payment, dispute.key), dispute.currency)
    sale_payments.freeze(payment, key=key, amount=wanted, reason=reason(dispute))
    taken = sale_payments.settle(payment, key)
    outside = fulfilment.gateway_account(dispute.gateway, dispute.currency)
    _book_late(dispute, key, Move(outside, _loss(dispute.currency), taken), **because)


def _take_of_what_stands_aside(refund: Refund) -> None:
    """A second payment is in suspense again and the bank has had it: that much is owed to nobody, and is no loss."""
    if refund.origin != RefundOrigin.SURPLUS:
        return
    unit = refund.currency
    for dispute in _disputes(refund, DisputeState.LOST):
        there = standing_aside.left(refund.attempt, unit, without=refund)
        part = Money(min(there.minor, standing_aside.lost(dispute)), unit)
        move = Move(fulfilment.house(f"suspense:{unit}", unit), _loss(unit), part)
        _book_late(dispute, dispute.late_key(refund), move, refund=str(refund.pk))


def _owe_less(dispute: Dispute, refund: Refund) -> None:
    """What was never taxed waits on the account of vouchers again, since the refund is undone: that is the bank's."""
    lost = Money(_still_lost(dispute), dispute.currency)
    owed = _owed_as_credits(dispute, lost, without=refund)
    move = Move(fulfilment.house(f"vouchers:{owed.unit}", owed.unit), _loss(owed.unit), owed)
    _book_late(dispute, dispute.late_key(refund), move, refund=str(refund.pk))


def _still_lost(dispute: Dispute) -> int:
    """What of its amount no vouchers have borne."""
    return dispute.amount_minor - voucher_refunds.booked(dispute.all_keys(), dispute.currency)


def _book_late(dispute: Dispute, key: str, move: Move, **because: str) -> None:
    if move.amount.minor:
        metadata = {"dispute": str(dispute.pk), "payment": str(dispute.payment_id), **because}
        transfers.post(key=key, kind="dispute.lost.later", moves=[move], metadata=metadata)


def _loss(unit: str) -> Account:
    return fulfilment.house(f"loss:{unit}", unit)
