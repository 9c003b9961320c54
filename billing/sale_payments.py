"""Payments for what sellers sell: recorded when they are paid, and taken back line by line when money goes back.

A refund or a dispute is held of each sale under a key of its own, `<refund or dispute>:<number of the sale>`, and all
of them are settled or voided together. The sale's own split says what comes from the seller and what from us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from billing.models import Attempt, Payment
from billing.models.payments import PaymentKind
from billing.models.refunds import RefundPolicy
from ledger.money import Money, total
from wallets import sales, sellers, take_backs
from wallets.errors import SellerCannotCover
from wallets.models import Sale, TakeBack, TakeBackState, WhenWithdrawn
from wallets.sales import Line

# What an operator's choice means for what a seller has withdrawn; without a choice the sale's own rule counts.
POLICIES = {
    RefundPolicy.UNSPENT_ONLY: WhenWithdrawn.REFUSE,
    RefundPolicy.FULL_WITH_DEBT: WhenWithdrawn.DEBT,
    RefundPolicy.GOODWILL: WhenWithdrawn.OUR_COST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of a refund falls on one sale, and whom it is taken from."""

    sale: Sale
    amount: Money
    plan: take_backs.Plan


# ---------------------------------------------------------------- bought


def details_of(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """As they are kept with the payment: all that is needed once it is paid."""
    return [
        {
            "seller": line.seller.pk,
            "type": line.type,
            "amount": line.amount.minor,
            "reference": line.reference,
            "description": line.description,
        }
        for line in lines
    ]


def lines_of(payment: Payment) -> list[Line]:
    told = payment.details["lines"]
    people = User.objects.in_bulk([each["seller"] for each in told])
    return [
        Line(
            seller=people[each["seller"]],
            type=each["type"],
            amount=Money(each["amount"], payment.currency),
            reference=each["reference"],
            description=each["description"],
        )
        for each in told
    ]


def deliver(payment: Payment, attempt: Attempt, *, fee: Money | None) -> None:
    """Each net to its seller, the commissions to us; the gateway's fee is ours, where it is known by now."""
    sales.record(key=str(payment.pk), lines=lines_of(payment), gateway=attempt.gateway, fee=fee)


def of(payment: Payment) -> list[Sale]:
    rows = Sale.objects.filter(payment_key=str(payment.pk)).order_by("number")
    return list(rows.select_related("wallet__seller__user", "type"))


# ---------------------------------------------------------------- given back


@transaction.atomic
def plan(payment: Payment, amount: Money, policy: RefundPolicy | None) -> list[Share]:
    """How an amount falls on the sales, in proportion to what is left of each, or the refusal of one of them."""
    asked = POLICIES.get(policy) if policy else None
    return [
        Share(sale=sale, amount=part, plan=take_backs.preview(sale=sale, amount=part, policy=asked))
        for sale, part in _parts(payment, amount)
    ]


def _lock(payment: Payment) -> None:
    """All its sellers at once and by number: one after the other in the order of the sales, two payments to the same
    sellers could wait for each other."""
    sellers.lock(Sale.objects.filter(payment_key=str(payment.pk)).values_list("wallet_id", flat=True))


def _left(payment: Payment) -> Money:
    return total((sale.left for sale in of(payment)), payment.currency)


def _parts(payment: Payment, amount: Money) -> list[tuple[Sale, Money]]:
    """Whoever asks has seen that as much is left: a plan of a refund by what was refunded, the others by the sales."""
    _lock(payment)
    found = of(payment)
    if not amount.minor:
        return []
    parts = amount.split([sale.left.minor for sale in found])
    return [(sale, part) for sale, part in zip(found, parts, strict=True) if part.minor]


def hold(
    payment: Payment, *, key: str, amount: Money, policy: RefundPolicy | None, reason: str, by: User | None = None
) -> None:
    """Hold what is to go back, all of it or none."""
    asked = POLICIES.get(policy) if policy else None
    for sale, part in _parts(payment, amount):
        take_backs.hold(sale=sale, key=f"{key}:{sale.number}", amount=part, policy=asked, reason=reason, by=by)


def hold_what_has_gone(payment: Payment, *, key: str, amount: Money, policy: RefundPolicy, reason: str) -> None:
    """Of money that has left already: nothing refuses it, so what no seller covers is our cost. As much as is left of
    the sales."""
    _lock(payment)
    for sale, part in _parts(payment, Money(min(amount.minor, _left(payment).minor), payment.currency)):
        name = f"{key}:{sale.number}"
        try:
            take_backs.hold(sale=sale, key=name, amount=part, policy=POLICIES.get(policy), reason=reason)
        except SellerCannotCover:
            take_backs.hold(sale=sale, key=name, amount=part, policy=WhenWithdrawn.OUR_COST, reason=reason)


def freeze(payment: Payment, *, key: str, amount: Money, reason: str) -> None:
    """Of what a bank asks for as much as is left of the sales; it may ask for what was refunded already."""
    _lock(payment)
    wanted = min(amount.minor, _left(payment).minor) if amount.unit == payment.currency else 0
    for sale, part in _parts(payment, Money(wanted, payment.currency)):
        take_backs.freeze(sale=sale, key=f"{key}:{sale.number}", amount=part, reason=reason)


def settle(payment: Payment, key: str) -> Money:
    """It has gone back: the sellers' part and ours. Returns how much that was."""
    settled = [take_backs.settle(take_back=each) for each in _held(payment, key, TakeBackState.HELD)]
    return Money(sum(each.price_minor for each in settled), payment.currency)


def lift(payment: Payment, key: str) -> list[TakeBack]:
    """It does not go back after all. A dispute may take its part of it before what is left repays what sellers owe."""
    _lock(payment)
    return [take_backs.lift(take_back=each) for each in _held(payment, key, TakeBackState.HELD)]


def undo(payment: Payment, key: str) -> list[TakeBack]:
    """It had gone back, and came back to us: the sellers have their part again, and we ours. They have not repaid of it
    what they owe."""
    _lock(payment)
    return [take_backs.undo(take_back=each) for each in _held(payment, key, TakeBackState.SETTLED)]


def repay(free: Sequence[TakeBack]) -> None:
    for each in free:
        take_backs.repay(take_back=each)


def taken(payment: Payment, key: str) -> int:
    """What has been taken under the key of a dispute by now, in minor units of the buyer's money."""
    return sum(each.price_minor for each in _held(payment, key, TakeBackState.SETTLED))


def held(payment: Payment, key: str) -> int:
    """What is frozen under it."""
    return sum(each.price_minor for each in _held(payment, key, TakeBackState.HELD))


def _held(payment: Payment, key: str, state: TakeBackState) -> list[TakeBack]:
    rows = TakeBack.objects.filter(sale__payment_key=str(payment.pk), key__startswith=f"{key}:", state=state)
    return list(rows.order_by("sale__wallet_id", "sale__number"))


def is_sale(payment: Payment) -> bool:
    return payment.kind == PaymentKind.SALE
