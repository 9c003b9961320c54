"""What the gateway that renews a plan is told to do: written down first, and ours once it has done so.

At most one of a plan is open, for as long as nobody knows whether it arrived. `instruction_sending` sends it; nothing
here speaks to a gateway.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import cases, dunning, errors, following, pausing, schedule, subscription_states, timeline
from billing.change_basis import Basis
from billing.gateways.subscribing import SubscriptionResult, SubscriptionState
from billing.models import GatewayInstruction, GatewayPrice, Subscription
from billing.models.cases import CaseKind
from billing.models.instructions import InstructionKind, InstructionState
from billing.models.subscriptions import IN_FORCE, LIVE, SubscriptionStatus
from billing.plan_payments import CHANGED_MEANWHILE
from rest import sweeps

NOTHING_LEFT = (SubscriptionState.CANCELLED, SubscriptionState.EXPIRED, SubscriptionState.NOT_FOUND)
MAY_BE_GIVEN_IN: dict[str, tuple[str, ...]] = {
    InstructionKind.END_NOW: LIVE,
    InstructionKind.END_LATER: IN_FORCE,
    InstructionKind.KEEP: IN_FORCE,
    InstructionKind.NEXT_PRICE: IN_FORCE,
    InstructionKind.PAUSE: (SubscriptionStatus.ACTIVE,),
    InstructionKind.RESUME: (SubscriptionStatus.PAUSED,),
    InstructionKind.CHANGE_NOW: IN_FORCE,
}
# Our own words of a refusal, beside the gateway's.
NOT_PAID, TOO_LATE, PLAN_ENDED, NOT_DONE = "not_paid", "too_late", "plan_ended", "not_done"


def write(wanted: GatewayInstruction) -> GatewayInstruction:
    """Committed before the gateway hears of it. Where another one is open already, that one is the answer."""
    with transaction.atomic(durable=True):
        subscription, now = subscription_states.lock(wanted.subscription_id), timezone.now()
        if (waiting := open_of(subscription)) is not None:
            return waiting
        if not _may(subscription, wanted.kind):
            raise errors.SubscriptionState(subscription.status, gettext_noop("that cannot be done with it now"))
        if wanted.kind == InstructionKind.CHANGE_NOW and not Basis.of(wanted.subscription).stands(subscription):
            raise errors.SubscriptionState(subscription.status, CHANGED_MEANWHILE)
        wanted.next_ask_at = schedule.next_ask_at(now, now=now)
        wanted.save(force_insert=True)
    return wanted


def open_of(subscription: Subscription) -> GatewayInstruction | None:
    return subscription.instructions.filter(state=InstructionState.OPEN).select_related("by", "price").first()


def changes_price(subscription: Subscription) -> bool:
    """The gateway may have the next period's price already, without our knowing it."""
    rows = subscription.instructions.filter(state=InstructionState.OPEN, kind=InstructionKind.NEXT_PRICE)
    return rows.exists()


def _may(subscription: Subscription, kind: str) -> bool:
    if subscription.status not in MAY_BE_GIVEN_IN[kind]:
        return False
    return kind != InstructionKind.PAUSE or dunning.paid_until(subscription) > timezone.now()


def hear(
    subscription: Subscription, found: SubscriptionResult, since: datetime, *, only: InstructionKind | None = None
) -> None:
    """What its gateway said when it was asked, at `since`, of a plan: an instruction of before may be done."""
    instruction = open_of(subscription)
    if instruction is None or instruction.created_at > since or only not in (None, instruction.kind):
        return
    if stands(instruction, found):
        settle(instruction)


def stands(instruction: GatewayInstruction, found: SubscriptionResult) -> bool:
    """Whether it is at the gateway as the instruction wanted it. A dearer plan is there when it is paid."""
    match instruction.kind:
        case InstructionKind.END_NOW:
            return found.state in NOTHING_LEFT
        case InstructionKind.END_LATER:
            return found.cancel_at_period_end
        case InstructionKind.KEEP:
            return not found.cancel_at_period_end
        case InstructionKind.PAUSE:
            return found.is_paused
        case InstructionKind.RESUME:
            return not found.is_paused and found.state is not SubscriptionState.PAUSED
    rows = GatewayPrice.objects.filter(gateway=instruction.subscription.gateway, gateway_id=found.price)
    return rows.filter(price=instruction.price_id).exists()


@transaction.atomic
def settle(instruction: GatewayInstruction) -> None:
    """The gateway has done it: ours, once. What happened to the plan meanwhile stands."""
    subscription = subscription_states.lock(instruction.subscription_id)
    if not _close(instruction, InstructionState.DONE):
        return
    pk, by, reason = subscription.pk, instruction.by, instruction.reason
    if instruction.kind == InstructionKind.CHANGE_NOW:
        # Its paid invoice has made it ours; on trial there was none.
        assert instruction.price is not None  # noqa: S101 - a constraint says so
        following.follow_price(subscription_id=pk, price=instruction.price, by=by, reason=reason)
        return
    if not _may(subscription, instruction.kind):
        timeline.save(subscription, "overtaken", facts={"instruction": instruction.kind})
        if instruction.kind == InstructionKind.PAUSE and subscription.status in IN_FORCE:
            _undo_pause(subscription)
        return
    match instruction.kind:
        case InstructionKind.END_NOW:
            status = SubscriptionStatus.CANCELLED
            subscription_states.end(subscription_id=pk, status=status, why="asked", by=by, reason=reason)
        case InstructionKind.END_LATER:
            subscription_states.end_later(subscription_id=pk, by=by, reason=reason)
        case InstructionKind.KEEP:
            subscription_states.go_on(subscription_id=pk, by=by, reason=reason)
        case InstructionKind.PAUSE:
            pausing.pause(subscription_id=pk, by=by, reason=reason)
        case InstructionKind.RESUME:
            pausing.unpause(subscription_id=pk, by=by, reason=reason)
        case InstructionKind.NEXT_PRICE:
            other = instruction.price if instruction.price_id != subscription.price_id else None
            subscription_states.set_next_price(subscription_id=pk, price=other, by=by, reason=reason)


def _undo_pause(subscription: Subscription) -> None:
    """It stands still there and not here, and would never be charged again. What else can be overtaken is so only by
    the end of the plan, which is the end there too."""
    now = timezone.now()
    subscription.instructions.create(kind=InstructionKind.RESUME, reason="its pause came too late", next_ask_at=now)


def withdraw(instruction: GatewayInstruction, code: str) -> bool:
    """The gateway said no, or surely never heard of it: nothing is done there, and nothing will be. A dearer plan that
    was not paid can still be, on the page of its invoice, and is ours when that is. One compare-and-set, and nothing of
    the subscription moves by it: it takes no lock."""
    instruction.failure_code = code[:100]
    return _close(instruction, InstructionState.REFUSED)


@transaction.atomic
def refuse_unheard(instruction: GatewayInstruction, code: str) -> None:
    """The same, when nobody waits for the answer any more. A plan that is over has nothing left to be told."""
    subscription = subscription_states.lock(instruction.subscription_id)
    if withdraw(instruction, code) and subscription.status in LIVE:
        facts = {"gateway": subscription.gateway, "gateway_id": subscription.gateway_id}
        facts |= {"instruction": instruction.kind, "code": instruction.failure_code}
        cases.open(
            kind=CaseKind.SUBSCRIPTION, subscription=subscription, key=f"instruction:{instruction.pk}", facts=facts
        )


def ended_late(subscription: Subscription) -> bool:
    """It was to end here when its period was over already, which is at once; the last word about that is ours."""
    kinds = (InstructionKind.END_LATER, InstructionKind.KEEP)
    last = subscription.instructions.filter(kind__in=kinds, state=InstructionState.DONE).last()
    if last is None or last.kind != InstructionKind.END_LATER or last.closed_at is None:
        return False
    return last.closed_at >= dunning.paid_until(subscription)


def is_too_late(instruction: GatewayInstruction, now: datetime) -> bool:
    """Nobody expects to be charged any more; and the gateway may have forgotten its reference, so that to send it again
    would be another act."""
    return instruction.kind == InstructionKind.CHANGE_NOW and is_last_question(instruction, now)


def is_last_question(instruction: GatewayInstruction, now: datetime) -> bool:
    return schedule.next_ask_at(instruction.created_at, now=now) is None


def stop_asking(instruction: GatewayInstruction) -> None:
    """From now on it stands before people."""
    GatewayInstruction.objects.filter(pk=instruction.pk, state=InstructionState.OPEN).update(next_ask_at=None)


def is_done(instruction: GatewayInstruction) -> bool:
    return GatewayInstruction.objects.filter(pk=instruction.pk, state=InstructionState.DONE).exists()


def is_open(instruction: GatewayInstruction) -> bool:
    return GatewayInstruction.objects.filter(pk=instruction.pk, state=InstructionState.OPEN).exists()


def _close(instruction: GatewayInstruction, state: InstructionState) -> bool:
    rows = GatewayInstruction.objects.filter(pk=instruction.pk, state=InstructionState.OPEN)
    return bool(rows.update(state=state, closed_at=timezone.now(), failure_code=instruction.failure_code))


def claim(now: datetime) -> list[GatewayInstruction]:
    """Those whose answer is due. Behind the last question too there is a next time, until people are told."""
    lease = now + timedelta(seconds=settings.GATEWAY_ASK_OFTEN_SECONDS)

    def ask_again(instruction: GatewayInstruction) -> None:
        instruction.next_ask_at = schedule.next_ask_at(instruction.created_at, now=now) or lease

    due = GatewayInstruction.objects.filter(state=InstructionState.OPEN, next_ask_at__lte=now)
    due = due.select_related("subscription__user", "subscription__price__plan")
    return sweeps.claim(due, by="next_ask_at", most=settings.RENEWAL_BATCH, then=ask_again, writes=["next_ask_at"])
