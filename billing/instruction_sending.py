"""Telling the gateway that renews a plan what to do with it: written down, then sent, then ours."""

from collections.abc import Callable
from dataclasses import replace

from django.contrib.auth.models import User

from billing import calling, gateway_subscriptions, instructions
from billing.gateways.errors import Declined, Unavailable
from billing.gateways.subscribing import Proration, SubscriptionResult
from billing.models import GatewayInstruction, PlanPrice, Subscription
from billing.models.instructions import InstructionKind


def give(
    *,
    subscription: Subscription,
    kind: InstructionKind,
    price: PlanPrice | None = None,
    by: User | None = None,
    reason: str = "",
) -> None:
    """Have the gateway do it, and then it is so here. While nobody knows whether it arrived the instruction stays open,
    and `carry_on` asks."""
    wanted = GatewayInstruction(subscription=subscription, kind=kind, price=price, by=by, reason=reason)
    while (waiting := instructions.write(wanted)).pk != wanted.pk:
        carry_on(waiting)  # one thing after the other
        if (waiting.kind, waiting.price_id) == (wanted.kind, wanted.price_id):
            return
    try:
        _send(wanted)
    except (Declined, Unavailable) as refusal:
        instructions.withdraw(wanted, refusal.code)
        raise


def carry_on(instruction: GatewayInstruction) -> None:
    """Its answer was lost. What has not arrived is sent again, under the same reference; whoever wanted it does not
    hear of a refusal now, so operators do."""
    gateway_subscriptions.ask(instruction.subscription)
    if not instructions.is_open(instruction):
        return
    try:
        _send(instruction)
    except Declined as refusal:
        instructions.refuse_unheard(instruction, refusal.code)
        raise


def _send(instruction: GatewayInstruction) -> None:
    calling.call(instruction.subscription.gateway, instruction.kind, _act(instruction))
    instructions.settle(instruction)


def _act(instruction: GatewayInstruction) -> Callable[[], SubscriptionResult]:
    subscription, reference = instruction.subscription, instruction.pk.hex
    adapter, known = gateway_subscriptions.adapter_of(subscription.gateway), subscription.gateway_id or ""
    end = adapter.cancel_subscription
    match instruction.kind:
        case InstructionKind.END_NOW:
            return lambda: end(subscription=known, reference=reference, at_period_end=False)
        case InstructionKind.END_LATER:
            return lambda: end(subscription=known, reference=reference, at_period_end=True)
        case InstructionKind.KEEP:
            return lambda: adapter.keep_subscription(subscription=known, reference=reference)
        case InstructionKind.PAUSE:
            return lambda: adapter.pause_subscription(subscription=known, reference=reference)
        case InstructionKind.RESUME:
            return lambda: adapter.resume_subscription(subscription=known, reference=reference)
    assert instruction.price is not None  # noqa: S101 - a constraint says so of the kind that is left
    change = replace(
        gateway_subscriptions.change_request(subscription, instruction.price, Proration.NONE), reference=reference
    )
    return lambda: adapter.change_subscription(change)
