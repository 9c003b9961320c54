"""Telling the gateway that renews a plan what to do with it: written down, then sent, then ours."""

import logging
from collections.abc import Callable
from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from billing import calling, errors, gateway_subscriptions, instructions, payments
from billing.gateways.errors import Declined, GatewayError, Unavailable
from billing.gateways.subscribing import SubscriptionResult
from billing.models import GatewayInstruction, PlanPrice, Subscription
from billing.models.instructions import InstructionKind

logger = logging.getLogger(__name__)
# The end of a pause charges where a trial stood still for want of a card.
CHARGES = (InstructionKind.CHANGE_NOW, InstructionKind.RESUME)


def give(
    *,
    subscription: Subscription,
    kind: InstructionKind,
    price: PlanPrice | None = None,
    prorated_at: datetime | None = None,
    by: User | None = None,
    reason: str = "",
) -> dict[str, object] | None:
    """Have the gateway do it, and then it is so here. While nobody knows whether it arrived the instruction stays open,
    and `carry_on` asks. The answer is what the customer must still do, where a charge was not paid."""
    wanted = GatewayInstruction(
        subscription=subscription, kind=kind, price=price, prorated_at=prorated_at, by=by, reason=reason
    )
    while (waiting := instructions.write(wanted)).pk != wanted.pk:
        if kind == InstructionKind.END_NOW and waiting.kind in CHARGES:
            _leave(waiting)
        else:
            _finish(waiting)  # one thing after the other
        if (waiting.kind, waiting.price_id) == (wanted.kind, wanted.price_id) and instructions.is_done(waiting):
            return None
    try:
        told = _send(wanted)
    except (Declined, Unavailable, errors.BillingError) as refusal:
        instructions.withdraw(wanted, _word(refusal))
        raise
    return _hear(wanted, told)


def _finish(waiting: GatewayInstruction) -> None:
    """Its refusal is not that of whoever wants something else now, and stands before people already."""
    try:
        carry_on(waiting)
    except (Declined, errors.BillingError):
        if instructions.is_open(waiting):  # it was the question that was refused
            raise


def _leave(waiting: GatewayInstruction) -> None:
    """What ends now is not charged first: it is done where it has arrived, and else not sent any more."""
    gateway_subscriptions.ask(waiting.subscription)
    instructions.withdraw(waiting, instructions.PLAN_ENDED)


def _word(refusal: GatewayError | errors.BillingError) -> str:
    """The gateway's; of what we refused before it was sent, ours."""
    return refusal.code if isinstance(refusal, GatewayError) else type(refusal).__name__


def carry_on(instruction: GatewayInstruction) -> None:
    """Its answer was lost. What has not arrived is sent again, under the same reference; whoever wanted it does not
    hear of a refusal now, so operators do."""
    gateway_subscriptions.ask(instruction.subscription)
    if not instructions.is_open(instruction):
        return
    if instructions.is_too_late(instruction, timezone.now()):
        instructions.refuse_unheard(instruction, instructions.TOO_LATE)
        return
    try:
        told = _send(instruction)
    except (Declined, errors.BillingError) as refusal:
        instructions.refuse_unheard(instruction, _word(refusal))
        raise
    _hear(instruction, told)


def _send(instruction: GatewayInstruction) -> SubscriptionResult:
    """What it is then there. An answer by which it has not become so is a refusal: nothing may follow from it here."""
    gateway = instruction.subscription.gateway
    told = calling.call(gateway, instruction.kind, _act(instruction))
    if instruction.kind != InstructionKind.CHANGE_NOW and not instructions.stands(instruction, told):
        raise Declined("It is not there as it was told to be.", gateway=gateway, code=instructions.NOT_DONE)
    return told


def _hear(instruction: GatewayInstruction, told: SubscriptionResult) -> dict[str, object] | None:
    if instruction.kind != InstructionKind.CHANGE_NOW:
        instructions.settle(instruction)
        return None
    if told.has_pending_change:
        # The charge was declined, or its bank wants the customer: to try again is another instruction.
        instructions.withdraw(instruction, instructions.NOT_PAID)
        return payments.told(told.next_action) if told.next_action else None
    try:
        gateway_subscriptions.ask(instruction.subscription)  # its paid invoice makes it ours
    except GatewayError as refusal:
        # It is paid, so nobody hears of a failure; the instruction stays open, and the sweep asks again.
        facts = {"instruction": str(instruction.pk), "reason": type(refusal).__name__}
        logger.warning("instruction.invoice_not_heard", extra=facts)
    else:
        instructions.settle(instruction)
    return None


def _act(instruction: GatewayInstruction) -> Callable[[], SubscriptionResult]:
    subscription, reference = instruction.subscription, instruction.pk.hex
    adapter, known = gateway_subscriptions.adapter_of(subscription.gateway), subscription.gateway_id or ""
    match instruction.kind:
        case InstructionKind.END_NOW:
            return lambda: adapter.end_subscription(subscription=known, reference=reference)
        case InstructionKind.END_LATER:
            return lambda: adapter.end_subscription_later(subscription=known, reference=reference)
        case InstructionKind.KEEP:
            return lambda: adapter.keep_subscription(subscription=known, reference=reference)
        case InstructionKind.PAUSE:
            return lambda: adapter.pause_subscription(subscription=known, reference=reference)
        case InstructionKind.RESUME:
            return lambda: adapter.resume_subscription(subscription=known, reference=reference)
    assert instruction.price is not None  # noqa: S101 - a constraint says so of the kinds that are left
    change = gateway_subscriptions.change_request(
        subscription, instruction.price, instruction.prorated_at, reference=reference
    )
    return lambda: adapter.change_subscription(change)
