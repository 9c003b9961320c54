"""What a payment brings: what was bought is delivered and the money is booked, once, in the payer's transaction."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from billing import plan_payments, redemptions, sale_payments
from billing.discounts import Terms
from billing.models import Attempt, Payment, Redemption, Refund, Subscription
from billing.models.payments import PaymentKind
from billing.pricing import Reduction
from credits import grants, takebacks
from credits.grants import NewGrant
from credits.models import GrantSource
from ledger import accounts, transfers
from ledger.models import Account, Transfer
from ledger.money import Money
from ledger.transfers import Move
from wallets import sales


def deliver(*, payment: Payment, attempt: Attempt | None) -> None:
    """Give what was bought and book the money. The caller has locked the payment and moved it to SUCCEEDED.

    The key in the books is the payment's own, so that however often this is called the business happens once.
    Without an attempt nothing was to be paid, and there is no money to book.
    """
    _DELIVERIES[PaymentKind(payment.kind)](payment, attempt)
    redemptions.paid(payment)
    payment.delivered_at = timezone.now()
    payment.save(update_fields=["delivered_at"])


# ---------------------------------------------------------------- by what was bought


def _deliver_pack(payment: Payment, attempt: Attempt | None) -> None:
    grants.issue_many(list(grants_of(payment)))
    _book(payment, attempt, house(revenue_of(payment), payment.currency))


def _deliver_amount(payment: Payment, attempt: Attempt | None) -> None:
    """Whoever asked for the amount delivers, and what is billed was delivered or will be: here is only the money."""
    _book(payment, attempt, house(revenue_of(payment), payment.currency))


def _deliver_plan(payment: Payment, attempt: Attempt | None) -> None:
    plan_payments.deliver(payment, attempt)
    if coupon_credits(payment):
        # By the use and not by the payment: they come once, whichever payment of the subscription is the first.
        key = _key_of_use(payment.redemption_id)
        grants.issue_many([_coupon_grant(payment.user_id, payment.details["coupon"], key)])
    _book(payment, attempt, house(revenue_of(payment), payment.currency))


def give_coupon_credits(subscription: Subscription) -> None:
    """The same where its first period is paid for without a payment; called before the use is redeemed by it."""
    redemption = Redemption.objects.select_related("coupon").filter(subscription=subscription).first()
    if redemption is None:
        return
    none = Money(0, subscription.price.currency)
    coupon = Reduction(
        coupon=redemption.coupon, terms=Terms(**redemption.terms), discount=none, redemption=redemption
    ).as_json()
    if coupon["credits"]:
        grants.issue_many([_coupon_grant(subscription.user_id, coupon, _key_of_use(redemption.pk))])


def _key_of_use(redemption_id: UUID | None) -> str:
    return f"redemption:{redemption_id}"


def _deliver_sale(payment: Payment, attempt: Attempt | None) -> None:
    """The wallets book it whole: nothing of it is our revenue but the commission."""
    assert attempt is not None  # noqa: S101 - no coupon makes a sale cost nothing
    sale_payments.deliver(payment, attempt, fee=fee_of(payment, attempt))


_DELIVERIES: dict[PaymentKind, Callable[[Payment, Attempt | None], None]] = {
    PaymentKind.PACK: _deliver_pack,
    PaymentKind.AMOUNT: _deliver_amount,
    PaymentKind.BILL: _deliver_amount,
    PaymentKind.PLAN: _deliver_plan,
    PaymentKind.SALE: _deliver_sale,
}


def grants_of(payment: Payment) -> list[NewGrant]:
    """The grants that a paid pack brings, by what was frozen when it was bought."""
    bought, now = payment.details, timezone.now()
    paid = NewGrant(
        user_id=payment.user_id,
        amount=bought["credits"],
        source=GrantSource.PACK,
        key=f"payment:{payment.pk}",
        unit=bought["unit"],
        expires_at=_end(now, bought["expires_after_days"]),
        paid_minor=payment.amount_minor,
        paid_currency=payment.currency,
    )
    given = [paid]
    if coupon_credits(payment):
        given.append(_coupon_grant(payment.user_id, bought["coupon"], f"payment:{payment.pk}:coupon"))
    if not bought["bonus"]:
        return given
    bonus = NewGrant(
        user_id=payment.user_id,
        amount=bought["bonus"],
        source=GrantSource.BONUS,
        key=f"payment:{payment.pk}:bonus",
        unit=bought["unit"],
        expires_at=_end(now, bought["bonus_expires_after_days"]),
    )
    return [*given, bonus]


def keys_of(payment: Payment) -> list[str]:
    """Of the grants that a pack brought. What was given for nothing goes back before what was paid for."""
    paid = f"payment:{payment.pk}"
    return _with_given_back(payment, [f"{paid}:bonus", f"{paid}:coupon", paid])


def keys_of_what_was_paid(payment: Payment) -> list[str]:
    return _with_given_back(payment, [f"payment:{payment.pk}"])


def _with_given_back(payment: Payment, keys: list[str]) -> list[str]:
    """Refunds that came back have left what they took of a grant in another one, which stands beside it."""
    for refund in Refund.objects.filter(payment=payment, times_back__gt=0).order_by("pk"):
        again = takebacks.given_back(key=refund.key)
        keys = [each for key in keys for each in (key, again.get(key)) if each]
    return keys


def credits_of(payment: Payment) -> int:
    """All that a pack brought."""
    return int(payment.details["credits"] + payment.details["bonus"] + coupon_credits(payment))


def coupon_credits(payment: Payment) -> int:
    return int(payment.details.get("coupon", {}).get("credits", 0))


def _coupon_grant(user_id: int, coupon: Mapping[str, Any], key: str) -> NewGrant:
    return NewGrant(
        user_id=user_id,
        amount=coupon["credits"],
        source=GrantSource.PROMOTION,
        key=key,
        unit=coupon["unit"],
        expires_at=_end(timezone.now(), coupon["expires_after_days"]),
        reason=coupon["code"],
    )


def _end(now: datetime, days: int | None) -> datetime | None:
    return now + timedelta(days=days) if days else None


# ---------------------------------------------------------------- books


def gateway_account(name: str, unit: str) -> Account:
    """The outside: what that gateway owes us is what has gone out of this account."""
    return house(f"gateway:{name}:{unit}", unit)


def revenue_of(payment: Payment) -> str:
    """Where its net price is earned. What is taxed when it is used is owed until then, and not earned yet."""
    if payment.details.get("tax", {}).get("at_use"):
        return f"vouchers:{payment.currency}"
    kinds = {PaymentKind.PACK: "packs", PaymentKind.PLAN: "plans"}
    return f"revenue:{kinds.get(PaymentKind(payment.kind), 'payments')}:{payment.currency}"


def house(name: str, unit: str) -> Account:
    return accounts.open(name=name, unit=unit, guarded=False)


def moved(keys: Sequence[str], **ends: str) -> int:
    """What entries of these keys took of an account, or brought it, in minor units."""
    rows = Transfer.objects.filter(entry__entry_key__key__in=keys, **ends)
    return rows.aggregate(total=Sum("amount"))["total"] or 0


def _book(payment: Payment, attempt: Attempt | None, revenue: Account) -> None:
    if attempt is None or payment.amount_minor == 0:
        return
    outside = gateway_account(attempt.gateway, payment.currency)
    moves = [Move(outside, revenue, payment.money - payment.tax)] if payment.tax < payment.money else []
    if payment.tax_minor:
        moves.append(Move(outside, house(f"tax:{payment.currency}", payment.currency), payment.tax))
    if (fee := fee_of(payment, attempt)) is not None:
        moves.append(_fee_move(attempt, fee))
    transfers.post(
        key=f"payment:{payment.pk}",
        kind="payment",
        moves=moves,
        metadata={"payment": str(payment.pk), "attempt": str(attempt.pk)},
    )


def fee_of(payment: Payment, attempt: Attempt) -> Money | None:
    """What the gateway keeps and the books can say: more than nothing, in the currency of the payment."""
    is_known = attempt.fee_minor and attempt.fee_currency == payment.currency
    return Money(attempt.fee_minor or 0, payment.currency) if is_known else None


def _fee_move(attempt: Attempt, fee: Money) -> Move:
    """It comes back to the gateway as our cost."""
    return Move(house(f"fees:{attempt.gateway}:{fee.unit}", fee.unit), gateway_account(attempt.gateway, fee.unit), fee)


def book_fee(*, payment: Payment, attempt: Attempt) -> None:
    """Of a payment that was booked before its gateway said what it keeps."""
    if (fee := fee_of(payment, attempt)) is None:
        return
    if sale_payments.is_sale(payment):
        sales.record_fee(key=str(payment.pk), gateway=attempt.gateway, fee=fee)
        return
    metadata = {"payment": str(payment.pk), "attempt": str(attempt.pk)}
    moves = [_fee_move(attempt, fee)]
    transfers.post(key=f"payment:{payment.pk}:fee", kind="payment.fee", moves=moves, metadata=metadata)


def book_surplus(*, payment: Payment, attempt: Attempt) -> None:
    """A second payment of the same thing waits aside until it has gone back."""
    book_aside(payment=payment, attempt=attempt, amount=payment.money)


def aside_key(attempt: Attempt) -> str:
    return f"payment:{attempt.payment_id}:aside:{attempt.pk}"


def book_aside(*, payment: Payment, attempt: Attempt, amount: Money) -> None:
    """Money that came and that nobody here has a right to: it waits in suspense."""
    outside = gateway_account(attempt.gateway, amount.unit)
    transfers.post(
        key=aside_key(attempt),
        kind="payment.aside",
        moves=[Move(outside, house(f"suspense:{amount.unit}", amount.unit), amount)],
        metadata={"payment": str(payment.pk), "attempt": str(attempt.pk)},
    )
