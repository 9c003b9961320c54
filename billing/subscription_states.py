"""How a subscription moves from state to state: each move behind its lock, with a line in its timeline and an event.

A payment opens the window of the grant calendar or leaves it; it never grants. Nothing here speaks to a gateway.
"""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import dunning, errors, plans, redemptions, timeline
from billing.change_basis import Basis
from billing.models import PaidPeriod, Payment, PlanPrice, Subscription
from billing.models.plans import PlanInterval
from billing.models.subscriptions import IN_FORCE, LIVE, OVER, SubscriptionStatus
from credits import calendar
from credits.models import Every, GrantSchedule
from credits.periods import Grid
from events.types import EventType


def lock(subscription_id: UUID) -> Subscription:
    rows = Subscription.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("user", "price__plan", "next_price__plan").get(pk=subscription_id)


def end_of_period(anchor: datetime, time_zone: str, interval: str, number: int) -> datetime:
    """The end of the period with this number, reckoned from the anchor: the 31st comes back after February."""
    zone = ZoneInfo(time_zone)
    every = Every.WEEK if interval == PlanInterval.WEEK else Every.MONTH
    grid = Grid(anchor=anchor.astimezone(zone).replace(tzinfo=None), zone=zone, every=every)
    return grid.start(number * (PlanInterval(interval).months or 1))


# ---------------------------------------------------------------- paid for


@transaction.atomic
def extend(
    *,
    subscription_id: UUID,
    key: str,
    price: PlanPrice,
    amount_minor: int,
    payment: Payment | None = None,
    until: tuple[datetime, datetime] | None = None,
) -> Subscription:
    """One more period is paid for; the same key does it once. `until` is the gateway's own period, where it renews."""
    subscription, now = lock(subscription_id), timezone.now()
    if PaidPeriod.objects.filter(key=key).exists():
        return subscription
    before = SubscriptionStatus(subscription.status)
    is_anew = _begins_anew(subscription, now, until)
    starts_at, ends_at = until or _next_period(subscription, price, now, is_anew=is_anew)
    is_overtaken = until is not None and not is_anew and _is_overtaken(subscription, starts_at)
    if not is_overtaken:
        _grant_until(subscription, price, starts_at, ends_at, is_anew=is_anew)
    PaidPeriod.objects.create(
        subscription=subscription,
        key=key,
        price=price,
        payment=payment,
        starts_at=starts_at,
        ends_at=ends_at,
        amount_minor=amount_minor,
    )
    if is_overtaken:
        timeline.save(subscription, "paid", facts={"key": key, "until": ends_at, "amount": amount_minor})
        return subscription
    if until is not None:
        is_within = not is_anew and ends_at == subscription.paid_until  # a change in the midst of it
        starts_at = subscription.period_start if is_within and subscription.period_start else starts_at
        subscription.anchor_at, subscription.periods = subscription.anchor_at or starts_at, subscription.periods + 1
        ends_at = max(ends_at, subscription.paid_until) if subscription.paid_until and not is_anew else ends_at
    if until is not None or is_anew or price.pk != subscription.price_id:  # else what was to follow still does
        subscription.price, subscription.next_price = price, None
    subscription.period_start, subscription.paid_until = starts_at, ends_at
    subscription.ended_at, subscription.end_reason = None, ""
    if before != SubscriptionStatus.PAUSED:
        subscription.status = SubscriptionStatus.ACTIVE
    subscription.tries = subscription.reminders = 0
    timeline.save(subscription, "paid", facts={"key": key, "until": ends_at, "amount": amount_minor})
    if before in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED):
        timeline.tell_updated(subscription, "current_period_end")
    else:
        timeline.tell(subscription, EventType.SUBSCRIPTION_ACTIVATED, current_period_end=subscription.paid_until)
    return subscription


def _begins_anew(subscription: Subscription, now: datetime, until: tuple[datetime, datetime] | None) -> bool:
    """Not where a gateway's period follows the last one: it was paid for in time, however late we hear of it."""
    if subscription.status == SubscriptionStatus.INCOMPLETE:
        return True
    if until is not None:
        return subscription.paid_until is None or subscription.paid_until < until[0]
    if subscription.status in OVER:
        return True
    # The sweep that ends it is late, or a trial is over: nothing was given meanwhile, so that its time does not count.
    return subscription.status in IN_FORCE and dunning.access_until(subscription) <= now


def _is_overtaken(subscription: Subscription, starts_at: datetime) -> bool:
    """Told of late, after what followed it: it was paid, and says nothing of the plan and the period of today."""
    return PaidPeriod.objects.filter(subscription=subscription, starts_at__gt=starts_at).exists()


def _next_period(
    subscription: Subscription, price: PlanPrice, now: datetime, *, is_anew: bool
) -> tuple[datetime, datetime]:
    if is_anew:
        starts_at, subscription.anchor_at, subscription.periods = now, now, 0
    else:
        starts_at = dunning.paid_until(subscription)
        is_other = price.interval != subscription.price.interval
        if subscription.anchor_at is None or is_other:
            subscription.anchor_at, subscription.periods = starts_at, 0
    subscription.periods += 1
    assert subscription.anchor_at is not None  # noqa: S101 - set above, or with its first period
    ends_at = end_of_period(subscription.anchor_at, subscription.time_zone, price.interval, subscription.periods)
    return starts_at, ends_at


def _grant_until(
    subscription: Subscription, price: PlanPrice, starts_at: datetime, ends_at: datetime, *, is_anew: bool
) -> None:
    rules, unlimited = plans.terms(price.plan), plans.unlimited(price.plan)
    if not GrantSchedule.objects.filter(reference=subscription.reference).exists():
        calendar.open_schedule(
            user=subscription.user,
            reference=subscription.reference,
            rules=rules,
            anchor=starts_at,
            time_zone=subscription.time_zone,
            paid_until=ends_at,
            unlimited=unlimited,
        )
        return
    is_other = price.plan_id != subscription.price.plan_id
    # At a renewal nothing is paid for from here on yet, so that only the rules change.
    paid, now = subscription.paid_until, timezone.now()
    at = now if paid is not None and paid > now else starts_at
    if is_other:
        calendar.change_rules(reference=subscription.reference, rules=rules, at=at, unlimited=unlimited)
    anchor = starts_at if is_anew else None
    calendar.extend_schedule(reference=subscription.reference, paid_until=ends_at, anchor=anchor)
    if is_other and at == starts_at and not is_anew:
        # Now that it is paid for: what the new plan is worth more in the grant period that is under way.
        calendar.change_rules(reference=subscription.reference, rules=rules, at=at, unlimited=unlimited)


@transaction.atomic
def change_now(
    *,
    subscription_id: UUID,
    basis: Basis,
    price: PlanPrice,
    key: str,
    amount_minor: int,
    payment: Payment | None = None,
) -> bool:
    """The dearer plan from now on: its difference is paid. False when the subscription is not what was changed."""
    subscription, now = lock(subscription_id), timezone.now()
    if PaidPeriod.objects.filter(key=key).exists():
        return True
    if subscription.status not in IN_FORCE or dunning.paid_until(subscription) <= now or not basis.stands(subscription):
        return False
    ends_at = dunning.paid_until(subscription)
    if price.interval != subscription.price.interval:
        subscription.period_start, subscription.anchor_at, subscription.periods = now, now, 1
        ends_at = end_of_period(now, subscription.time_zone, price.interval, 1)
    PaidPeriod.objects.create(
        subscription=subscription,
        key=key,
        price=price,
        payment=payment,
        starts_at=now,
        ends_at=ends_at,
        amount_minor=amount_minor,
    )
    before = subscription.price.plan.code
    calendar.change_rules(
        reference=subscription.reference,
        rules=plans.terms(price.plan),
        at=now,
        unlimited=plans.unlimited(price.plan),
    )
    calendar.extend_schedule(reference=subscription.reference, paid_until=ends_at)
    subscription.price, subscription.next_price, subscription.paid_until = price, None, ends_at
    subscription.tries = subscription.reminders = 0
    timeline.save(subscription, "changed", facts={"from": before, "to": price.plan.code, "amount": amount_minor})
    timeline.tell_updated(subscription, "plan")
    return True


@transaction.atomic
def switch(
    *, subscription_id: UUID, basis: Basis, price: PlanPrice, key: str, by: User | None = None, reason: str = ""
) -> bool:
    """A change that costs nothing: on trial, or where what was paid covers it. False as above."""
    subscription = lock(subscription_id)
    if subscription.status not in IN_FORCE:
        raise errors.SubscriptionState(subscription.status, gettext_noop("it cannot be changed"))
    if subscription.anchor_at is not None:
        return change_now(subscription_id=subscription_id, basis=basis, price=price, key=key, amount_minor=0)
    if not basis.stands(subscription):
        return False
    before, subscription.price, subscription.next_price = subscription.price.plan.code, price, None
    timeline.save(
        subscription, "changed", by=by, reason=reason, facts={"from": before, "to": price.plan.code, "amount": 0}
    )
    timeline.tell_updated(subscription, "plan")
    return True


# ---------------------------------------------------------------- not paid for, and over


@transaction.atomic
def mark_past_due(*, subscription_id: UUID, unless_paid_until: datetime | None = None) -> bool:
    subscription = lock(subscription_id)
    if subscription.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING):
        return False
    if unless_paid_until is not None and dunning.paid_until(subscription) >= unless_paid_until:
        return False
    subscription.status = SubscriptionStatus.PAST_DUE
    timeline.save(subscription, "past_due")
    price = subscription.next_price or subscription.price
    timeline.tell(
        subscription,
        EventType.SUBSCRIPTION_PAST_DUE,
        amount=price.amount_minor,
        currency=price.currency,
        grace_until=dunning.lapses_at(subscription),
        retry_url=dunning.mend_url(subscription),
    )
    return True


@transaction.atomic
def end(
    *,
    subscription_id: UUID,
    status: SubscriptionStatus,
    why: str,
    by: User | None = None,
    reason: str = "",
    only_if_lapsed_at: datetime | None = None,
    only_if_unpaid: bool = False,
) -> bool:
    """It is over from now on. What was granted stays, with the expiry that it has; packs are not touched."""
    subscription, now = lock(subscription_id), timezone.now()
    if subscription.status not in LIVE or (only_if_unpaid and subscription.status != SubscriptionStatus.INCOMPLETE):
        return False
    if only_if_lapsed_at is not None and subscription.status in IN_FORCE:
        lapses_at = subscription.lapses_at
        if lapses_at is None or lapses_at > only_if_lapsed_at:
            return False  # paid meanwhile
    was_in_force = subscription.status != SubscriptionStatus.INCOMPLETE
    subscription.status, subscription.ended_at, subscription.end_reason = status, now, why
    subscription.next_price = None
    if GrantSchedule.objects.filter(reference=subscription.reference).exists():
        calendar.close(reference=subscription.reference, at=now)
    timeline.save(subscription, "ended", by=by, reason=reason, facts={"why": why})
    redemptions.subscription_over(subscription)
    if was_in_force:
        timeline.tell(subscription, EventType.SUBSCRIPTION_CANCELLED, ended_at=now, reason=why)
    return True


@transaction.atomic
def start_trial(*, subscription_id: UUID, until: datetime) -> Subscription:
    """What the plan entitles to, without its credits: those come with the first payment."""
    subscription = lock(subscription_id)
    if subscription.status == SubscriptionStatus.INCOMPLETE:
        subscription.status, subscription.period_start = SubscriptionStatus.TRIALING, timezone.now()
        subscription.trial_until = subscription.paid_until = until
        timeline.save(subscription, "trial", facts={"until": until})
        timeline.tell(subscription, EventType.SUBSCRIPTION_ACTIVATED, current_period_end=until)
    return subscription


# ---------------------------------------------------------------- what the customer or an operator wishes


@transaction.atomic
def end_later(*, subscription_id: UUID, by: User | None = None, reason: str = "") -> Subscription:
    """It ends with the period that is paid for."""
    subscription = lock(subscription_id)
    if subscription.status not in IN_FORCE:
        raise errors.SubscriptionState(subscription.status, gettext_noop("nothing of it is to end"))
    if not subscription.cancel_at_period_end:
        subscription.cancel_at_period_end = True
        timeline.save(subscription, "cancel_later", by=by, reason=reason)
        timeline.tell_updated(subscription, "cancel_at_period_end")
    return subscription


@transaction.atomic
def go_on(*, subscription_id: UUID, by: User | None = None, reason: str = "") -> Subscription:
    """It does not end with its period after all."""
    subscription = lock(subscription_id)
    if subscription.status not in IN_FORCE:
        raise errors.SubscriptionState(subscription.status, gettext_noop("nothing of it is to go on"))
    if subscription.cancel_at_period_end:
        subscription.cancel_at_period_end = False
        timeline.save(subscription, "resumed", by=by, reason=reason)
        timeline.tell_updated(subscription, "cancel_at_period_end")
    return subscription


@transaction.atomic
def set_next_price(
    *, subscription_id: UUID, price: PlanPrice | None, by: User | None = None, reason: str = ""
) -> Subscription:
    """What the next period costs and gives; None: the same as now."""
    subscription = lock(subscription_id)
    if subscription.status not in IN_FORCE:
        raise errors.SubscriptionState(subscription.status, gettext_noop("it has no next period"))
    subscription.next_price = price
    timeline.save(subscription, "change_later", by=by, reason=reason, facts={"to": price.plan.code if price else None})
    timeline.tell_updated(subscription, "next_plan")
    return subscription


@transaction.atomic
def give_time(*, subscription_id: UUID, until: datetime, by: User, reason: str) -> Subscription:
    """An operator's present: paid until later, and the grants of that time."""
    subscription = lock(subscription_id)
    if not reason.strip():
        raise errors.ReasonMissing
    if subscription.is_renewed_by_gateway:
        what = gettext_noop("its gateway would charge on the old day all the same: give credits or a refund instead")
        raise errors.SubscriptionState(subscription.status, what)
    if subscription.status not in IN_FORCE or until <= dunning.paid_until(subscription):
        raise errors.SubscriptionState(
            subscription.status, gettext_noop("it can only be extended to a later day while in force")
        )
    lengthen(subscription, since=timezone.now(), by=until - dunning.paid_until(subscription))
    subscription.paid_until = until
    if subscription.anchor_at is None:  # nothing was ever paid for it: a longer trial, without grants and grace
        subscription.status, subscription.trial_until = SubscriptionStatus.TRIALING, until
    else:
        subscription.status, subscription.anchor_at, subscription.periods = SubscriptionStatus.ACTIVE, until, 0
        calendar.extend_schedule(reference=subscription.reference, paid_until=until)
    subscription.tries = subscription.reminders = 0
    timeline.save(subscription, "extended", by=by, reason=reason, facts={"until": until})
    timeline.tell_updated(subscription, "current_period_end")
    return subscription


def lengthen(subscription: Subscription, *, since: datetime, by: timedelta) -> None:
    """Time that is given, or in which it stood still, is of the period under way; those in advance begin later. The
    dates of a gateway that renews are its own. The caller has the lock, and saves."""
    if subscription.is_renewed_by_gateway:
        return
    rows = PaidPeriod.objects.filter(subscription=subscription)
    rows.filter(ends_at__gt=since).update(ends_at=F("ends_at") + by)
    rows.filter(starts_at__gt=since).update(starts_at=F("starts_at") + by)
    if subscription.period_start is not None and subscription.period_start > since:
        subscription.period_start += by


@transaction.atomic
def move_to_zone(*, user: User, time_zone: str) -> None:
    """The customer moved: grants to come begin at the same local time over there, and so do periods."""
    now = timezone.now()
    for pk in Subscription.objects.filter(user=user).live().order_by("pk").values_list("pk", flat=True):
        subscription = lock(pk)
        if subscription.time_zone == time_zone:
            continue
        subscription.time_zone = time_zone
        if GrantSchedule.objects.filter(reference=subscription.reference).exists():
            calendar.move_to_zone(reference=subscription.reference, time_zone=time_zone, at=now)
        timeline.save(subscription, "moved", facts={"time_zone": time_zone})
