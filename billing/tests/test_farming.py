"""Changing plans to get credits for less than the cheapest offer: nobody gets there, whatever they try."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
import time_machine
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as some

from billing import errors, plan_changes
from billing.checkout import Wishes
from billing.models import Payment
from billing.tests.subscribers import BEGIN, end_of, fails, fresh, make_plan, make_user, pay, price, subscribed
from credits import balances, calendar, usage
from credits.models import Grant, GrantRule

pytestmark = pytest.mark.django_db
CHEAPEST = Fraction(1_999, 2_000)  # cents for a credit, of the big plan

acts = some.lists(
    some.tuples(some.sampled_from(["up", "up_unpaid", "down", "spend", "wait", "last_day"]), some.integers(1, 20)),
    min_size=1,
    max_size=8,
)


@pytest.fixture
def on_sale(gateways) -> None:
    for code, amount in (("small-monthly", 500), ("big-monthly", 2_000)):
        GrantRule.objects.create(code=code, catalogue="companions", amount=amount, every="month", catch_up="all")
    make_plan("small", {"month": 999}, grant_rules=["small-monthly"])
    make_plan("big", {"month": 1_999}, grant_rules=["big-monthly"])


# What depends on the day is played on days that some months have not, and never on that of the run.
@pytest.mark.parametrize("begin", [BEGIN, datetime(2027, 1, 31, 9, tzinfo=UTC), datetime(2028, 2, 29, 9, tzinfo=UTC)])
@bounds(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=acts)
def test_credits_never_cost_less_than_the_cheapest_offer(on_sale, paypal, begin, history) -> None:
    with time_machine.travel(begin, tick=False) as clock:
        found = subscribed(paypal, make_user("UTC"), "small")
        for number, (act, size) in enumerate(history):
            left = end_of(found) - timezone.now()
            if act in ("up", "up_unpaid", "down"):
                _change(found, paypal, act)
            elif act == "spend" and balances.of(found.user).available > 0:
                usage.spend(
                    user=found.user, key=f"s{number}", amount=max(1, balances.of(found.user).available * size // 20)
                )
            elif act == "wait" and left > timedelta(days=2):
                clock.shift(min(timedelta(days=size), left - timedelta(days=1)))
            elif act == "last_day" and left > timedelta(hours=1):
                clock.shift(left - timedelta(minutes=30))
            calendar.grant_due(at=timezone.now())
        paid = Payment.objects.filter(user=found.user, status="succeeded")
        given_credits = sum(Grant.objects.filter(purse__user=found.user).values_list("amount", flat=True))
        assert Fraction(sum(paid.values_list("amount_minor", flat=True)), given_credits) >= CHEAPEST


def _change(found, paypal, act: str) -> None:
    try:
        wanted = price("small" if act == "down" else "big")
        done = plan_changes.change(subscription=fresh(found), price=wanted, wishes=Wishes(gateways=("paypal",)))
    except errors.BillingError:
        return  # the same price, or too little for the gateway
    if done.payment is not None and act == "up":
        pay(paypal, done.payment)
    elif done.payment is not None:
        fails(paypal, done.payment)


def test_upgrade_on_the_last_day_after_spending_all(on_sale, paypal) -> None:
    with time_machine.travel(BEGIN, tick=False) as clock:
        found = subscribed(paypal, make_user("UTC"), "small")
        usage.spend(user=found.user, key="all", amount=500)
        clock.move_to(end_of(found) - timedelta(days=1))
        pay(paypal, plan_changes.change(
            subscription=fresh(found), price=price("big"), wishes=Wishes(gateways=("paypal",))).payment)  # fmt: skip
        calendar.grant_due(at=timezone.now())
        # A day of thirty-one: 64 credits of the big plan less 16 of the small one, for the big plan's day in full.
        assert balances.of(found.user).available == 2_000 // 31 - 500 // 31
        assert Payment.objects.get(details__purpose="change").amount_minor == -(-1_999 // 31)


def test_two_upgrades_in_a_period_credit_the_whole_plan_of_the_moment(on_sale, paypal) -> None:
    """Scenario S5: what the middle plan is worth counts, and not the little that was paid to get to it."""
    GrantRule.objects.create(code="mid-monthly", catalogue="companions", amount=1_200, every="month", catch_up="all")
    make_plan("mid", {"month": 1_499}, grant_rules=["mid-monthly"])
    with time_machine.travel(BEGIN, tick=False) as clock:
        found = subscribed(paypal, make_user("UTC"), "small")
        clock.move_to(BEGIN + (end_of(found) - BEGIN) / 2)
        for code in ("mid", "big"):
            changed = plan_changes.change(
                subscription=fresh(found), price=price(code), wishes=Wishes(gateways=("paypal",))
            )
            pay(paypal, changed.payment)
            calendar.grant_due(at=timezone.now())
        paid = Payment.objects.filter(details__purpose="change").order_by("id").values_list("amount_minor", flat=True)
        # Halves of 14.99 less 9.99, and of 19.99 less 14.99: what is charged rounded up, what is credited down.
        assert list(paid) == [750 - 499, 1_000 - 749]
        assert balances.of(found.user).available == 500 + (600 - 250) + (1_000 - 600)
