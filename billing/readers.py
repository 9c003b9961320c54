"""What the notifications of gateways are about, and whom to ask for the truth of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from billing import (
    asking,
    attached_methods,
    customers,
    disputes,
    gateway_invoices,
    gateway_refunds,
    gateway_subscriptions,
    method_setups,
    payments,
    payout_sending,
    refund_sending,
    refunds_listed,
    reversals,
    timeline,
    trial_ends,
)
from billing.gateways import letters as marks
from billing.gateways.base import Hint, Trust
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import InvoiceResult
from billing.models import Attempt, GatewayLetter, Payout, PlanPrice, Refund, Subscription
from billing.models.inbox import LetterState
from billing.models.payments import SETTLED
from billing.models.refunds import RefundStatus
from ledger.money import Money

logger = logging.getLogger(__name__)
# Of these ids a gateway gives the same one to many payments, or they are of something else.
NOT_IDS_OF_A_PAYMENT = {"customer", "refund", "dispute", "subscription", "invoice"}


class NotKnownYet(Exception):
    """What the letter is about is not here; it may come."""


class MayBeOurs(Exception):
    """It tells of a refund, and nobody knows yet whether that is the one that we are sending."""


@dataclass(slots=True)
class Batch:
    """What was asked already since these letters were taken: the answer is younger than all of them."""

    asked: set[UUID] = field(default_factory=set)
    invoices: set[str] = field(default_factory=set)  # looked for already among those that were paid


Reader = Callable[[GatewayLetter, Batch], LetterState]


def read(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Do what follows from a letter. Of a kind that we do not know it is kept, and nothing is done."""
    reader = READERS.get(Subject(letter.subject))
    return reader(letter, batch) if reader else LetterState.IGNORED


# ---------------------------------------------------------------- by subject


def _read_payment(letter: GatewayLetter, batch: Batch) -> LetterState:
    if letter.ids.get("subscription") and _named(letter) is None:
        return _read_subscription(letter, batch)  # the page on which it begins
    if (bill := _invoice_paid_by(letter)) is not None:
        ids = {"subscription": bill.subscription, "invoice": bill.id}
        return _follow_subscription(letter.gateway, ids, bill.reference, batch)
    attempt = attempt_of(letter)
    is_over = attempt.state in SETTLED and not payments.waits_for_fee(attempt)
    if attempt.pk not in batch.asked and not is_over:
        asking.ask(attempt)
        batch.asked.add(attempt.pk)
    return LetterState.DONE


def _read_money_back(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Of one that was only authorised nothing went back: a hold that is let go may be called refunded too. The payment
    of a plan may be known by this very letter."""
    state = _read_payment(letter, batch)
    attempt = _named(letter)
    if attempt is not None and attempt.state in SETTLED:
        refunds_listed.hear(attempt)
    return state


def _read_refund(letter: GatewayLetter, batch: Batch) -> LetterState:
    """One of ours, or one that somebody made at the gateway itself; which of them, its ids say."""
    ours = _refund_of(letter)
    if ours is None:
        attempt = _known_as_paid(letter)
        amount = _amount_made_elsewhere(letter, attempt)
        ours = gateway_refunds.book(attempt=attempt, amount=amount, ids=letter.ids)
    refund_sending.ask(ours)
    return LetterState.DONE


def _read_reversal(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Money that is gone by itself: a dispute stands for it, whether that was heard of before or is heard of later."""
    ours = _refund_of(letter)
    if ours is None:
        attempt, at = _known_as_paid(letter), letter.occurred_at or letter.received_at
        if reversals.is_of_dispute(attempt, at):
            return LetterState.DONE
        ours = reversals.book(attempt=attempt, amount=_amount_made_elsewhere(letter, attempt), ids=letter.ids, at=at)
    if ours is not None:
        refund_sending.ask(ours)
    return LetterState.DONE


def _amount_made_elsewhere(letter: GatewayLetter, attempt: Attempt) -> Money:
    if letter.trust == Trust.UNSIGNED or letter.amount_minor is None or "refund" not in letter.ids:
        raise NotKnownYet("It names no refund of ours, and nobody has signed for it.")
    if Refund.objects.filter(attempt=attempt, status__in=[RefundStatus.SENDING, RefundStatus.UNKNOWN]).exists():
        raise MayBeOurs("It may be the refund that is being sent.")
    return Money(letter.amount_minor, letter.currency)


def _read_payout(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Nobody signs most of these letters: they say where to look, and the gateway is asked."""
    number = _number(letter.reference)
    rows = Payout.objects.whole().filter(gateway=letter.gateway, sends__gt=0)
    payout = rows.filter(pk=number).first() if number else None
    if payout is None:
        raise NotKnownYet("It is about no payout of ours.")
    if payout.pk not in batch.asked:
        payout_sending.ask(payout, letter.ids if letter.trust == Trust.SIGNED else {})
        batch.asked.add(payout.pk)
    return LetterState.DONE


def _read_dispute(letter: GatewayLetter, batch: Batch) -> LetterState:
    attempt = _known_as_paid(letter)
    return LetterState.DONE if disputes.hear(attempt=attempt, letter=letter) else LetterState.IGNORED


def _read_subscription(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Whatever it says, and whenever it comes: the subscription and its last invoice are read again."""
    if not gateway_subscriptions.renews(letter.gateway):
        return LetterState.IGNORED
    return _follow_subscription(letter.gateway, letter.ids, letter.reference, batch)


def _read_trial_end(letter: GatewayLetter, batch: Batch) -> LetterState:
    state = _read_subscription(letter, batch)
    if named := _subscription_named(letter.gateway, letter.ids, letter.reference):
        trial_ends.hear(named)
    return state


def _follow_subscription(gateway: str, ids: dict[str, str], reference: str, batch: Batch) -> LetterState:
    found = _subscription_named(gateway, ids, reference)
    known = ids.get("subscription")
    if found is None and known:
        found = _adopt(gateway, known)
    if found is None:
        raise NotKnownYet("It is about no subscription of ours.")
    invoice = ids.get("invoice", "")
    if found.pk not in batch.asked or _is_to_be_looked_for(gateway, invoice, batch):
        gateway_subscriptions.ask(found, invoice=invoice)
        batch.asked.add(found.pk)
        batch.invoices.add(invoice)
    return LetterState.DONE


def _is_to_be_looked_for(gateway: str, invoice: str, batch: Batch) -> bool:
    """The question of before may have looked at the last invoice alone, and this is an older one."""
    return bool(invoice) and invoice not in batch.invoices and not gateway_invoices.is_heard(gateway, invoice)


def _invoice_paid_by(letter: GatewayLetter) -> InvoiceResult | None:
    """Invoices of plans are paid by payments that the gateway begins; those name neither us nor the invoice."""
    intent = letter.ids.get("payment_intent")
    if not intent or letter.reference or letter.token or not gateway_subscriptions.renews(letter.gateway):
        return None
    if _named(letter) is not None:
        return None
    bill = gateway_subscriptions.invoice_of(letter.gateway, intent)
    return bill if bill.subscription else None


def _read_invoice(letter: GatewayLetter, batch: Batch) -> LetterState:
    return _read_subscription(letter, batch) if letter.ids.get("subscription") else LetterState.IGNORED


def _read_setup(letter: GatewayLetter, batch: Batch) -> LetterState:
    """Of a trial or begun elsewhere it is none of ours: each of ours was written down before its page was made."""
    found = method_setups.named(letter.gateway, letter.reference)
    if found is None:
        return LetterState.IGNORED
    if found.pk not in batch.asked:
        method_setups.ask(found)
        batch.asked.add(found.pk)
    return LetterState.DONE


def _read_method(letter: GatewayLetter, batch: Batch) -> LetterState:
    is_awaited = attached_methods.hear(gateway=letter.gateway, ids=letter.ids)
    return LetterState.DONE if is_awaited else LetterState.IGNORED


READERS: dict[Subject, Reader] = {
    Subject.PAYMENT: _read_payment,
    Subject.MONEY_BACK: _read_money_back,
    Subject.REFUND: _read_refund,
    Subject.REVERSAL: _read_reversal,
    Subject.PAYOUT: _read_payout,
    Subject.DISPUTE: _read_dispute,
    Subject.SUBSCRIPTION: _read_subscription,
    Subject.TRIAL_END: _read_trial_end,
    Subject.INVOICE: _read_invoice,
    Subject.SETUP: _read_setup,
    Subject.METHOD: _read_method,
}


# ---------------------------------------------------------------- what a letter names


def attempt_of(letter: GatewayLetter) -> Attempt:
    """The attempt that a letter names: by the address it came to, our reference, or the gateway's own ids."""
    attempt = _named(letter)
    if attempt is None:
        raise NotKnownYet("No attempt of ours is meant.")
    if letter.subject in (Subject.PAYMENT, Subject.MONEY_BACK) and letter.reference not in ("", attempt.reference):
        raise NotKnownYet("Its address and its reference name different attempts.")
    if letter.trust == Trust.SHARED_SECRET and not marks.fits(_hint(letter), attempt.gateway_ids):
        raise NotKnownYet("It does not know the secret of the attempt.")
    return attempt


def _known_as_paid(letter: GatewayLetter) -> Attempt:
    """A letter about what follows a payment may be faster than the one about the payment."""
    attempt = attempt_of(letter)
    if attempt.state not in SETTLED:
        asking.ask(attempt)
        attempt = Attempt.objects.select_related("payment").get(pk=attempt.pk)
        if attempt.state not in SETTLED:
            raise NotKnownYet("The payment that it is about is not paid here.")
    return attempt


def _named(letter: GatewayLetter) -> Attempt | None:
    rows = Attempt.objects.filter(gateway=letter.gateway).select_related("payment")
    if letter.token:
        return rows.filter(notify_token=letter.token).first()
    if (number := _number(letter.reference)) and (found := rows.filter(pk=number).first()):
        return found
    for name, value in letter.ids.items():
        if name not in NOT_IDS_OF_A_PAYMENT and (found := rows.filter(gateway_ids__contains={name: value}).first()):
            return found
    return None


def _refund_of(letter: GatewayLetter) -> Refund | None:
    rows = Refund.objects.filter(attempt__gateway=letter.gateway)
    if (number := _number(letter.reference)) and (found := rows.filter(pk=number).first()):
        return found
    known = letter.ids.get("refund")
    return rows.filter(gateway_ids__contains={"refund": known}).first() if known else None


def _subscription_named(gateway: str, ids: dict[str, str], reference: str) -> Subscription | None:
    rows = Subscription.objects.filter(gateway=gateway).select_related("user", "price__plan")
    if (known := ids.get("subscription")) and (found := rows.filter(gateway_id=known).first()):
        return found
    number = _number(reference)
    return rows.filter(pk=number).first() if number else None


def _adopt(gateway: str, gateway_id: str) -> Subscription | None:
    """One that we do not know, begun elsewhere: ours when its metadata names a customer and a price of ours."""
    said = gateway_subscriptions.found_at(gateway, gateway_id).raw.get("metadata")
    metadata: dict[str, str] = dict(said) if isinstance(said, dict) else {}
    user = User.objects.filter(username=metadata.get("user", "")).first()
    price = PlanPrice.objects.select_related("plan").filter(pk=_row(metadata.get("price", ""))).first()
    if user is None or price is None:
        return None
    rows = Subscription.objects.of(user)
    if rows.live().filter(catalogue=price.plan.catalogue).exists():
        return None
    with transaction.atomic():
        made = Subscription(
            user=user,
            catalogue=price.plan.catalogue,
            price=price,
            time_zone=customers.get(user).time_zone,
            gateway=gateway,
            gateway_id=gateway_id,
        )
        timeline.save(made, "adopted", facts={"gateway_id": gateway_id})
    logger.warning("subscription.adopted", extra={"subscription": str(made.pk), "gateway": gateway})
    return made


def _number(reference: str) -> UUID | None:
    try:
        return UUID(hex=reference) if reference else None
    except ValueError:
        return None


def _row(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - what a bigint holds


def _hint(letter: GatewayLetter) -> Hint:
    return Hint(
        event_id=letter.event_id,
        kind=letter.kind,
        subject=Subject(letter.subject),
        trust=Trust(letter.trust),
        reference=letter.reference,
        ids=letter.ids,
    )
