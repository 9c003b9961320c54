"""A trial stays one whatever is wished for its customer: until it is paid for it gives no credits, and has no grace."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing import customers, entitlements, plan_changes, subscription_states, subscriptions
from billing.checkout import Wishes
from billing.models import Payment, Subscription
from billing.models.subscriptions import SubscriptionStatus
from billing.tests import shop
from billing.tests.subscribers import BEGIN, begin, end_of, fresh, make_plan, make_user, pay, price
from credits import balances, calendar
from credits.models import GrantSchedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_sale")]
LATER = BEGIN + timedelta(days=10)
PAYPAL = Wishes(gateways=("paypal",))


@pytest.fixture
def trial() -> Subscription:
    """Seven days of a plan that gives 500 a week once it is paid."""
    make_plan("tried", {"month": 500}, trial_days=7, entitlements={"hd_photos": True}, grant_rules=["premium-weekly"])
    return begin(make_user(), "tried").subscription


def given(trial: Subscription) -> Subscription:
    operator = shop.make_user()
    return subscription_states.give_time(subscription_id=trial.pk, until=LATER, by=operator, reason="outage")


def test_trial_that_is_given_time_is_a_longer_trial(trial) -> None:
    given(trial)
    ours = fresh(trial)
    assert (ours.status, ours.trial_until, ours.paid_until, ours.anchor_at) == ("trialing", LATER, LATER, None)
    assert not GrantSchedule.objects.exists()


def test_trial_that_was_over_is_on_trial_again_with_time(trial, clock) -> None:
    clock.move_to(end_of(trial) + timedelta(hours=12))
    assert subscription_states.mark_past_due(subscription_id=trial.pk)
    given(trial)
    assert (fresh(trial).status, fresh(trial).trial_until) == (SubscriptionStatus.TRIALING, LATER)
    assert entitlements.has(trial.user, "hd_photos")


def test_longer_trial_has_no_grace_either(trial, clock) -> None:
    given(trial)
    clock.move_to(LATER - timedelta(minutes=1))
    assert entitlements.has(trial.user, "hd_photos")
    clock.move_to(LATER)
    assert not entitlements.has(trial.user, "hd_photos")


def test_longer_trial_changes_its_plan_for_nothing(trial) -> None:
    given(trial)
    done = plan_changes.change(subscription=fresh(trial), price=price("elite"), wishes=PAYPAL)
    assert (done.preview.due.minor, done.payment, fresh(trial).price.plan.code) == (0, None, "elite")
    assert not Payment.objects.exists()


def test_longer_trial_that_is_paid_gives_from_its_end_on(trial, paypal, clock) -> None:
    given(trial)
    pay(paypal, subscriptions.renew(subscription=fresh(trial), wishes=PAYPAL))
    assert (fresh(trial).status, fresh(trial).period_start) == ("active", LATER)
    assert calendar.next_dates(reference=trial.reference)[0].at == LATER
    clock.move_to(LATER)
    calendar.grant_due(at=timezone.now())
    assert balances.of(trial.user).available == 500


def test_customer_who_moves_on_trial_is_given_at_the_local_time_over_there(trial, paypal) -> None:
    customers.change(customers.get(trial.user), by=trial.user, time_zone="Africa/Abidjan")
    assert fresh(trial).time_zone == "Africa/Abidjan"
    assert fresh(trial).timeline.filter(act="moved").count() == 1
    pay(paypal, subscriptions.renew(subscription=fresh(trial), wishes=PAYPAL))
    dates = [each.at for each in calendar.next_dates(reference=trial.reference)]
    assert dates[:4] == [datetime(2026, 3, day, 9, 0, tzinfo=UTC) for day in (9, 16, 23, 30)]  # Paris is ahead by then
