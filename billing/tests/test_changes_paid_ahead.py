"""Another plan when periods are paid for in advance: each counts whole, in what is charged and what is credited."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import plan_changes, refunds, subscription_states, subscriptions
from billing.checkout import Wishes
from billing.models import Payment, Subscription
from billing.models.coupons import CouponDuration
from billing.tests import shop
from billing.tests.couponing import make_coupon
from billing.tests.subscribers import BEGIN, begin, end_of, fresh, make_plan, make_user, pay, price, subscribed
from credits import calendar, usage
from ledger.money import Money

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_sale")]
PAYPAL = Wishes(gateways=("paypal",))


def renewed(gateway: Any, found: Subscription, times: int = 1) -> None:
    for _ in range(times):
        pay(gateway, subscriptions.renew(subscription=fresh(found), wishes=PAYPAL))


def figures(found: Subscription, code: str = "elite", interval: str = "month") -> tuple[int, int]:
    plan = plan_changes.preview(subscription=fresh(found), price=price(code, interval))
    return plan.charge.minor, plan.credit.minor


def changed(gateway: Any, found: Subscription, code: str, interval: str) -> None:
    wishes = Wishes(gateways=(gateway.name,))
    done = plan_changes.change(subscription=fresh(found), price=price(code, interval), wishes=wishes)
    if done.payment is not None:
        pay(gateway, done.payment)


def to_the_half(found: Subscription, clock: Any, end: Any) -> None:
    clock.move_to(BEGIN + (end - BEGIN) / 2)
    calendar.grant_due(at=timezone.now())


@pytest.mark.parametrize("times", [1, 2])
def test_periods_in_advance_are_credited_as_they_are_charged(paypal, clock, settings, times) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found, times)
    to_the_half(found, clock, end)
    assert figures(found) == (1_000 + times * 1_999, 499 + times * 999)
    last = end_of(found)
    done = plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=PAYPAL)
    pay(paypal, done.payment)
    assert (fresh(found).price.plan.code, fresh(found).paid_until) == ("elite", last)
    make_plan("studio", {"month": 2_999})
    assert figures(found, "studio") == (1_500 + times * 2_999, 999 + times * 1_999)  # what it is worth now


def test_what_was_spent_counts_for_the_period_under_way_only(paypal, clock) -> None:
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found)
    to_the_half(found, clock, end)
    usage.spend(user=found.user, key="all", amount=1_500)
    assert figures(found) == (1_000 + 1_999, 999)


def test_year_takes_all_that_was_paid_in_advance(paypal, clock) -> None:
    make_plan("gold", {"month": 500, "year": 6_500}, catalogue="other")
    found = subscribed(paypal, code="gold")
    renewed(paypal, found)
    plan = plan_changes.preview(subscription=fresh(found), price=price("gold", "year"))
    assert (plan.charge.minor, plan.credit.minor) == (6_500, 1_000)


def test_what_another_interval_has_taken_is_paid_ahead_no_more(paypal, clock) -> None:
    make_plan("gold", {"month": 500, "year": 6_500}, catalogue="other")
    make_plan("studio", {"year": 13_000}, catalogue="other")
    found = subscribed(paypal, code="gold")
    renewed(paypal, found, 3)
    changed(paypal, found, "gold", "year")
    assert fresh(found).period_start == BEGIN
    assert figures(found, "studio", "year") == (13_000, 6_500)
    renewed(paypal, found)  # a year in advance counts, on both sides
    assert figures(found, "studio", "year") == (2 * 13_000, 2 * 6_500)


def test_year_counts_from_the_day_on_which_it_began(paypal, clock) -> None:
    make_plan("gold", {"month": 500, "year": 6_500}, catalogue="other")
    make_plan("studio", {"year": 13_000}, catalogue="other")
    found = subscribed(paypal, code="gold")
    to_the_half(found, clock, end_of(found))
    changed(paypal, found, "gold", "year")
    assert fresh(found).period_start == timezone.now()
    assert figures(found, "studio", "year") == (13_000, 6_500)


def test_weeks_that_a_month_has_taken_are_worth_nothing_to_the_year(paypal, clock) -> None:
    make_plan("gold", {"week": 200, "month": 900, "year": 11_000}, catalogue="other")
    found = subscribed(paypal, code="gold", interval="week")
    renewed(paypal, found, 3)
    changed(paypal, found, "gold", "month")
    assert figures(found, "gold", "year") == (11_000, 900)


def test_each_period_is_worth_what_was_paid_for_it(paypal, clock) -> None:
    """The first was for nothing; the one in advance was not."""
    make_coupon(basis_points=10_000, duration=CouponDuration.ONCE)
    found = subscriptions.start(
        user=make_user(), price=price("premium"), wishes=PAYPAL, coupon="WELCOME10"
    ).subscription
    renewed(paypal, found)
    assert figures(found) == (2 * 1_999, 999)


def test_rest_of_a_trial_is_worth_nothing(paypal, clock) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    found = fresh(begin(make_user(), "tried").subscription)
    renewed(paypal, found)
    assert figures(found)[1] == 500


def test_time_of_a_pause_is_charged_and_credited_as_time_of_the_period_under_way(paypal, clock, settings) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found)
    to_the_half(found, clock, end)
    before = timezone.now()
    subscriptions.pause(subscription=fresh(found))
    clock.move_to(before + (end - BEGIN) / 4)
    subscriptions.resume(subscription=fresh(found))
    # A half of the period was left, of which its pause has made five quarters.
    charge, credit = figures(found)
    assert (charge, credit) == (-(-1_999 * 2 // 5) + 1_999, 999 * 2 // 5 + 999)
    subscription_states.give_time(
        subscription_id=found.pk, until=end_of(found) + timedelta(days=9), by=shop.make_user(), reason="Sorry."
    )
    assert figures(found)[0] > charge
    assert figures(found)[1] <= 2 * 999


def stood_still(found: Subscription, clock: Any, end: Any, days: int) -> None:
    """From the half of its first period on, past the end that it would have had."""
    to_the_half(found, clock, end)
    subscriptions.pause(subscription=fresh(found))
    clock.move_to(timezone.now() + timedelta(days=days))
    subscriptions.resume(subscription=fresh(found))


@pytest.mark.parametrize("days", [31, 100])
def test_pause_past_the_end_of_its_period_leaves_the_one_in_advance_whole(paypal, clock, settings, days) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found)
    second = end_of(found) - end
    stood_still(found, clock, end, days)
    half, whole = (end - BEGIN) / 2, end - BEGIN + timedelta(days=days)
    assert figures(found) == (1_999 - (-1_999 * half // whole), 999 + 999 * half // whole)
    clock.move_to(timezone.now() + half)
    assert (fresh(found).period_start, end_of(found)) == (timezone.now(), timezone.now() + second)
    assert figures(found) == (1_999, 999)
    clock.move_to(timezone.now() + second / 2)
    assert figures(found) == (1_000, 499)


def test_what_was_spent_before_a_long_pause_is_not_of_the_period_in_advance(paypal, clock) -> None:
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found)
    usage.spend(user=found.user, key="all", amount=500)
    calendar.grant_due(at=BEGIN + (end - BEGIN) / 2)
    usage.spend(user=found.user, key="more", amount=1_000)
    stood_still(found, clock, end, 31)
    calendar.grant_due(at=timezone.now())
    assert figures(found)[1] >= 999


def test_time_that_was_given_leaves_the_period_in_advance_whole(paypal, clock, settings) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    found = subscribed(paypal)
    end = end_of(found)
    renewed(paypal, found)
    subscription_states.give_time(
        subscription_id=found.pk, until=end_of(found) + timedelta(days=9), by=shop.make_user(), reason="Sorry."
    )
    clock.move_to(end + timedelta(days=4))  # in what was given
    left, whole = timedelta(days=5), end - BEGIN + timedelta(days=9)
    assert figures(found) == (1_999 - (-1_999 * left // whole), 999 + 999 * left // whole)


def test_what_a_change_paid_before_a_pause_is_of_the_time_until_the_new_end(stripe, clock, settings) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    make_plan("studio", {"month": 2_999})
    found = subscribed(stripe)
    end = end_of(found)
    changed(stripe, found, "elite", "month")
    paid = Payment.objects.get(details__purpose="change")
    refunds.request(payment=paid, amount=Money(500, "EUR"), reason="Sorry.")
    stood_still(found, clock, end, 31)
    half, whole = (end - BEGIN) / 2, end - BEGIN + timedelta(days=31)
    assert figures(found, "studio")[1] == 1_499 * half // whole
