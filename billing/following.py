"""What the gateway that renews a plan said may be older than what stands here: of two answers the later one counts."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from billing import dunning, subscription_states, timeline
from billing.models import PlanPrice, Subscription
from billing.models.instructions import InstructionKind, InstructionState
from billing.models.subscriptions import IN_FORCE, LIVE, SubscriptionStatus

# What we tell it, and the lines of the timeline that are written when it has become so here.
END = ((InstructionKind.END_LATER, InstructionKind.KEEP), ("cancel_later", "resumed"))
PAUSE = ((InstructionKind.PAUSE, InstructionKind.RESUME), ("paused", "unpaused"))


def is_overtaken(
    subscription: Subscription, subject: tuple[tuple[InstructionKind, ...], tuple[str, ...]], since: datetime
) -> bool:
    """Asked at `since`: we tell it ourselves just now how it is to be, or it has become so here after that."""
    kinds, acts = subject
    ours = subscription.instructions.filter(kind__in=kinds)
    if ours.filter(Q(state=InstructionState.OPEN) | Q(closed_at__gt=since)).exists():
        return True
    return subscription.timeline.filter(act__in=acts, created_at__gt=since).exists()


@transaction.atomic
def follow_end(*, subscription_id: UUID, ends: bool, since: datetime) -> None:
    """Asked at `since`, it was to end with its period there, or was not."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status not in IN_FORCE or subscription.cancel_at_period_end == ends:
        return
    if not is_overtaken(subscription, END, since):
        follow = subscription_states.end_later if ends else subscription_states.go_on
        follow(subscription_id=subscription_id)


@transaction.atomic
def follow_price(*, subscription_id: UUID, price: PlanPrice, by: User | None, reason: str) -> None:
    """Told by us, it has another price there. Where nothing was ever paid for it no invoice will say so."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status in LIVE and subscription.anchor_at is None and subscription.price_id != price.pk:
        subscription_states.exchange(subscription, price=price, by=by, reason=reason)


@transaction.atomic
def follow_trial(*, subscription_id: UUID, until: datetime) -> None:
    """It was made longer there. What was paid for once is no trial any more; what says less may be an older answer."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status not in IN_FORCE or subscription.anchor_at is not None:
        return
    if dunning.paid_until(subscription) >= until:
        return
    changed = ["current_period_end"]
    if subscription.status != SubscriptionStatus.TRIALING:  # its first charge had failed
        subscription.status = SubscriptionStatus.TRIALING
        changed.append("status")
    subscription.trial_until = subscription.paid_until = until
    subscription.reminders = 0  # of the end that it has now
    timeline.save(subscription, "extended", facts={"until": until, "why": "at_gateway"})
    timeline.tell_updated(subscription, *changed)
