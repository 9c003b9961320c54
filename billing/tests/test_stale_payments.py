"""Payments for a plan that are paid later than they were meant: nobody gets what the payment was never priced for."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing import dunning, errors, plan_changes, renewals, subscription_states, subscriptions
from billing.change_basis import Basis
from billing.checkout import Wishes
from billing.models import Case, Payment, Subscription
from billing.tests.subscribers import begin, end_of, fresh, make_plan, make_user, pay, price, subscribed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "on_sale")]
PAYPAL = Wishes(gateways=("paypal",))
WEEK = timedelta(weeks=1)


def facts(found: Subscription) -> tuple[Any, ...]:
    ours = fresh(found)
    return ours.price.plan.code, ours.price.interval, ours.paid_until, ours.paid_periods.count()


def changed(found: Subscription, code: str = "elite", interval: str = "month") -> Payment:
    payment = plan_changes.change(subscription=fresh(found), price=price(code, interval), wishes=PAYPAL).payment
    assert payment is not None
    return payment


def renewed(gateway: Any, found: Subscription) -> None:
    pay(gateway, subscriptions.renew(subscription=fresh(found), wishes=PAYPAL))


@pytest.fixture
def last_week(paypal, clock) -> Subscription:
    found = subscribed(paypal)
    clock.move_to(end_of(found) - WEEK)
    return found


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize("interval", ["month", "year"])
def test_change_of_the_last_week_is_not_delivered_to_the_month_that_was_paid_since(last_week, paypal, interval) -> None:
    make_plan("max", {"month": 1_999, "year": 19_990})
    cheap = changed(last_week, "max", interval)
    renewed(paypal, last_week)
    before = facts(last_week)
    assert pay(paypal, cheap).status == "succeeded"
    assert facts(last_week) == before
    assert list(Case.objects.values_list("kind", "payment")) == [("mismatch", cheap.pk)]


def test_change_that_was_begun_before_its_time_was_kept_is_still_delivered(last_week, paypal) -> None:
    cheap = changed(last_week)
    Payment.objects.filter(pk=cheap.pk).update(details={k: v for k, v in cheap.details.items() if k != "paid_until"})
    pay(paypal, cheap)
    assert (fresh(last_week).price.plan.code, Case.objects.count()) == ("elite", 0)


def test_change_is_not_asked_for_again_at_the_price_of_another_time(last_week, paypal) -> None:
    cheap = changed(last_week)
    assert changed(last_week) == cheap
    renewed(paypal, last_week)
    with pytest.raises(errors.AttemptLive) as refused:  # PayPal takes nothing back
        changed(last_week)
    assert refused.value.payment == cheap.pk


def test_change_of_another_time_is_taken_back_where_its_gateway_can(stripe, clock) -> None:
    found = subscribed(stripe)
    clock.move_to(end_of(found) - WEEK)
    wishes = Wishes(gateways=("stripe",))
    cheap = plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=wishes).payment
    pay(stripe, subscriptions.renew(subscription=fresh(found), wishes=wishes))
    dear = plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=wishes).payment
    assert cheap is not None
    assert dear is not None
    assert Payment.objects.get(pk=cheap.pk).status == "cancelled"
    assert dear.amount_minor > cheap.amount_minor


def test_change_for_nothing_of_a_trial_is_refused_when_its_first_period_was_paid(paypal, monkeypatch) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    found = fresh(begin(make_user(), "tried").subscription)
    plan = plan_changes.preview(subscription=found, price=price("elite"))
    monkeypatch.setattr(plan_changes, "preview", lambda **_: plan)
    renewed(paypal, found)  # between the look and the act
    with pytest.raises(errors.SubscriptionState, match="it has changed meanwhile"):
        plan_changes.change(subscription=found, price=price("elite"), wishes=PAYPAL)
    assert fresh(found).price.plan.code == "tried"


def test_trial_that_was_changed_meanwhile_is_not_switched(paypal) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    found = fresh(begin(make_user(), "tried").subscription)
    basis = Basis.of(found)
    known: dict[str, Any] = {"subscription_id": found.pk, "key": "free"}
    assert subscription_states.switch(basis=basis, price=price("elite"), **known)
    assert not subscription_states.switch(basis=basis, price=price("premium"), **known)
    assert fresh(found).price.plan.code == "elite"
    assert timezone.now() < end_of(found)


# ---------------------------------------------------------------- what is over


@pytest.fixture
def lapsed(paypal, clock) -> Subscription:
    """The month of Premium that nobody renewed."""
    found = subscribed(paypal)
    clock.move_to(end_of(found) + WEEK)
    renewals.expire_due()
    assert fresh(found).status == "expired"
    return fresh(found)


def test_lapsed_plan_is_not_renewed_beside_a_live_one(lapsed, paypal, client: Client) -> None:
    year = subscribed(paypal, lapsed.user, interval="year")
    with pytest.raises(errors.SubscriptionLive) as refused:
        subscriptions.renew(subscription=lapsed, wishes=PAYPAL)
    assert refused.value.subscription == year.pk
    path = "/" + dunning.mend_url(lapsed).split("/", 3)[3]
    for answer in (client.get(path), client.post(path)):
        page = answer.content.decode()
        assert answer.status_code == 200
        assert "you have the plan Premium instead: there is nothing to pay here" in page
        assert "Pay for the next period" not in page
        assert "could not be started" not in page
    assert not Payment.objects.filter(status="pending").exists()


def test_lapsed_plan_is_renewed_in_the_place_of_one_that_was_left_unpaid(lapsed, stripe, clock) -> None:
    left = subscriptions.start(user=lapsed.user, price=price("elite"), wishes=Wishes(gateways=("stripe",))).subscription
    with pytest.raises(errors.SubscriptionLive):
        subscriptions.renew(subscription=lapsed, wishes=PAYPAL)  # it could still be paid
    subscriptions.cancel_now(subscription=fresh(left))
    assert subscriptions.renew(subscription=lapsed, wishes=PAYPAL).amount_minor == 999


def test_late_month_of_a_lapsed_plan_is_no_year_of_its_successor(lapsed, paypal) -> None:
    month = subscriptions.renew(subscription=lapsed, wishes=PAYPAL)
    year = subscribed(paypal, lapsed.user, interval="year")
    before = facts(year)
    assert pay(paypal, month).status == "succeeded"
    assert (facts(year), fresh(lapsed).status) == (before, "expired")
    assert list(Case.objects.values_list("kind", "payment")) == [("mismatch", month.pk)]


# ---------------------------------------------------------------- renewals


def test_renewal_of_the_plan_before_does_not_take_the_new_one(paypal) -> None:
    found = subscribed(paypal)
    old = subscriptions.renew(subscription=found, wishes=PAYPAL)
    pay(paypal, changed(found))
    before = facts(found)
    assert before[0] == "elite"
    assert pay(paypal, old).status == "succeeded"
    assert facts(found) == before
    assert list(Case.objects.values_list("kind", "payment")) == [("mismatch", old.pk)]


def test_renewal_of_what_is_over_begins_it_anew_whatever_was_to_follow(paypal, clock) -> None:
    found = subscribed(paypal, code="elite")
    subscription_states.set_next_price(subscription_id=found.pk, price=price("premium"))
    clock.move_to(end_of(found))
    cheaper = subscriptions.renew(subscription=fresh(found), wishes=PAYPAL)
    clock.move_to(end_of(found) + WEEK)
    renewals.expire_due()
    pay(paypal, cheaper)
    assert (fresh(found).status, facts(found)[0], Case.objects.count()) == ("active", "premium", 0)


@pytest.mark.parametrize("gateway", ["paypal", "stripe"])
def test_renewal_is_of_the_plan_that_is_due_and_no_other_is_handed_out(gateways, clock, gateway) -> None:
    found = subscribed(gateways[gateway], code="elite")
    clock.move_to(end_of(found))
    renewals.renew_due()
    dear = Payment.objects.get(status="pending")
    assert subscriptions.renew(subscription=fresh(found), wishes=PAYPAL) == dear
    plan_changes.change(subscription=fresh(found), price=price("premium"), wishes=Wishes())
    if gateway == "paypal":  # takes nothing back
        with pytest.raises(errors.AttemptLive) as refused:
            subscriptions.renew(subscription=fresh(found), wishes=PAYPAL)
        assert refused.value.payment == dear.pk
        clock.move_to(end_of(found) + timedelta(days=1))
        assert (renewals.renew_due().failed, Payment.objects.filter(status="pending").get()) == (1, dear)
        return
    assert subscriptions.renew(subscription=fresh(found), wishes=PAYPAL).amount_minor == 999
    assert Payment.objects.get(pk=dear.pk).status == "cancelled"


def test_sweep_asks_for_what_is_due_in_the_place_of_what_was(stripe, clock) -> None:
    found = subscribed(stripe, code="elite")
    clock.move_to(end_of(found))
    renewals.renew_due()
    plan_changes.change(subscription=fresh(found), price=price("premium"), wishes=Wishes())
    clock.move_to(end_of(found) + timedelta(days=1))
    started = [renewals.renew_due().started for _ in range(2)]
    assert (started, Payment.objects.get(status="pending").amount_minor) == ([1, 0], 999)


def test_cheaper_plan_still_follows_when_the_old_page_is_paid_first(paypal, clock) -> None:
    found = subscribed(paypal, code="elite")
    dear = subscriptions.renew(subscription=found, wishes=PAYPAL)
    plan_changes.change(subscription=fresh(found), price=price("premium"), wishes=Wishes())
    pay(paypal, dear)
    ours = fresh(found)
    assert (ours.price.plan.code, ours.next_price, ours.paid_periods.count()) == ("elite", price("premium"), 2)
    clock.move_to(end_of(found))
    renewed(paypal, found)
    assert (facts(found)[0], fresh(found).next_price) == ("premium", None)
