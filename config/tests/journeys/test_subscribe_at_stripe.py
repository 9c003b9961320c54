"""A plan that Stripe renews, from its page to its end; seen over HTTP, with Stripe in the sandbox."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from django.conf import settings as ours
from django.utils import timezone

from billing import gateway_subscriptions, inbox, reconcile, renewals
from billing.gateways import registry
from billing.gateways.subscribing import Subscribes, SubscriptionRef, SubscriptionState
from billing.models import GatewayLetter, Invoice, Payment, Subscription
from billing.tests.conftest import french
from config.tests.journeys.subscriber import BEGIN, FAILING, GOOD, Subscriber, visit
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.tests.books import on
from ledger.tests.races import run_all
from rest.tests.callers import customer

__all__ = ["french"]
pytestmark = pytest.mark.usefixtures("french")


def told(kind: str) -> list[dict[str, object]]:
    return list(Event.objects.filter(type=kind).order_by("id").values_list("data", flat=True))


def open_letters() -> list[tuple[str, str, str]]:
    rows = GatewayLetter.objects.exclude(state__in=["done", "ignored"])
    return list(rows.values_list("kind", "state", "error"))


def test_year_of_one_customer_of_premium(ada: Subscriber) -> None:
    """Twelve periods, one failure that is mended, Elite for three months, and an end that was asked for."""
    begun = ada.subscribe()
    assert begun["subscription"]["status"] == "incomplete"
    ada.shop.play(begun)
    ada.hear()
    assert (ada.seen["status"], ada.shop.balance()) == ("active", 500)

    ada.pass_until(BEGIN + timedelta(days=90))
    ada.use_card(FAILING)
    ada.pass_until(datetime(2035, 6, 12, 9, 0, tzinfo=UTC))
    assert (ada.seen["status"], ada.seen["plan"]) == ("past_due", "premium")
    assert ada.shop.balance() == 14 * 500  # the week of 11 June waits for its payment
    assert ada.shop.get("entitlements")["entitlements"]["hd_photos"] is True
    [late] = told("subscription.past_due")
    mending = ada.shop.browser.post(str(late["retry_url"]).removeprefix(ours.BASE_URL))
    [page] = re.findall(r'class="button" href="([^"]+)"', mending.content.decode())
    ada.shop.play({"next_action": {"type": "redirect", "url": page}})
    ada.hear()
    assert (ada.seen["status"], ada.shop.balance()) == ("active", 15 * 500)
    ada.use_card(GOOD)

    ada.pass_until(datetime(2035, 9, 20, 9, 0, tzinfo=UTC))
    due = ada.change("elite", preview=True)["preview"]["due"]
    assert due == 500  # fifteen of thirty days: 10.00 less 5.00, to the cent
    ada.change("elite")
    ada.hear()
    assert (ada.seen["plan"], ada.shop.get("entitlements")["entitlements"].get("video")) == ("elite", True)

    ada.pass_until(datetime(2035, 11, 20, 9, 0, tzinfo=UTC))
    assert ada.change("premium")["preview"]["when"] == "period_end"
    assert (ada.seen["plan"], ada.seen["next_plan"]) == ("elite", "premium")
    ada.pass_until(datetime(2035, 12, 6, 9, 0, tzinfo=UTC))
    assert (ada.seen["plan"], ada.seen["next_plan"]) == ("premium", None)

    ada.pass_until(datetime(2036, 2, 20, 9, 0, tzinfo=UTC))
    ada.shop.browser.delete("/api/v1/subscription", headers=customer(ada.shop.user))
    assert (ada.seen["status"], ada.seen["cancel_at_period_end"]) == ("active", True)
    ada.pass_until(datetime(2036, 3, 20, 9, 0, tzinfo=UTC))

    ended = ada.seen
    assert (ended["status"], ended["end_reason"], ended["plan"]) == ("cancelled", "asked", "premium")
    paid = Payment.objects.filter(status="succeeded").order_by("id")
    assert list(paid.values_list("amount_minor", flat=True)) == [999] * 7 + [due, 1_999, 1_999] + [999] * 3
    gross = 10 * 999 + due + 2 * 1_999
    assert on("revenue:plans:EUR") + on("tax:EUR") == gross
    assert list(Grant.objects.values_list("amount", flat=True)) == [500] * 53
    assert ada.shop.balance() == 53 * 500
    assert open_letters() == []
    _money_agrees(ada, gross)
    _papers_agree(gross)


def _money_agrees(ada: Subscriber, gross: int) -> None:
    """Stripe's books and ours, line by line and in the sum."""
    theirs = [each for each in ada.shop.sandbox.books("stripe")["payments"] if each["state"] == "paid"]
    assert (len(theirs), sum(each["amount_minor"] for each in theirs)) == (13, gross)
    assert on("fees:stripe:EUR") < 0
    assert on("gateway:stripe:EUR") == -gross - on("fees:stripe:EUR")
    for payment in Payment.objects.filter(status="succeeded"):
        paid_at = payment.attempts.get().paid_at
        assert paid_at is not None
        report = reconcile.compare("stripe", paid_at.date())
        assert (report.matched, report.exceptions) == (1, [])
    assert checks.faults() == {}


def _papers_agree(gross: int) -> None:
    """Every payment has its invoice, with the tax of France that its price contains."""
    rows = Invoice.objects.all()
    assert (rows.count(), sum(rows.values_list("gross_minor", flat=True))) == (13, gross)
    assert {each.tax_minor for each in rows.filter(gross_minor=999)} == {167}
    assert {each.tax_minor for each in rows.filter(gross_minor=1_999)} == {333}
    assert sum(rows.values_list("tax_minor", flat=True)) == on("tax:EUR")


# ---------------------------------------------------------------- letters that are late, early, twice, or never come


def test_change_and_end_of_mind_and_the_portal(ada: Subscriber) -> None:
    """A downgrade that is taken back, an end that is taken back, and an end on Stripe's own page."""
    ada.shop.play(ada.subscribe("elite"))
    ada.hear()
    ada.change("premium")
    assert ada.seen["next_plan"] == "premium"
    assert ada.change("elite")["subscription"]["next_plan"] is None
    assert ada.shop.browser.delete("/api/v1/subscription", headers=customer(ada.shop.user)).status_code == 200
    assert ada.shop.post("subscription/resume").json()["cancel_at_period_end"] is False
    ada.pass_time(days=32)
    assert (ada.seen["status"], ada.seen["plan"], ada.seen["amount"]) == ("active", "elite", 1_999)
    portal = ada.shop.post("subscription/portal").json()["url"]
    visit(portal, act="cancel", subscription=str(ada.ours.gateway_id))
    ada.hear()
    assert ada.seen["cancel_at_period_end"] is True
    ada.pass_time(days=31)
    assert (ada.seen["status"], ada.seen["end_reason"]) == ("cancelled", "asked")
    assert list(Payment.objects.values_list("amount_minor", "status")) == [(1_999, "succeeded")] * 2
    assert checks.faults() == {}


def test_end_that_was_asked_for_on_stripes_page_is_taken_back_on_ours(ada: Subscriber) -> None:
    """Stripe's page writes the day in place of the flag."""
    ada.shop.play(ada.subscribe("elite"))
    ada.hear()
    portal = ada.shop.post("subscription/portal").json()["url"]
    visit(portal, act="cancel", subscription=str(ada.ours.gateway_id))
    ada.hear()
    assert ada.seen["cancel_at_period_end"] is True
    assert ada.shop.post("subscription/resume").json()["cancel_at_period_end"] is False
    ada.pass_time(days=32)
    assert (ada.seen["status"], ada.seen["cancel_at_period_end"]) == ("active", False)
    assert list(Payment.objects.values_list("amount_minor", "status")) == [(1_999, "succeeded")] * 2
    assert checks.faults() == {}


def test_two_invoices_of_one_outage_are_both_heard(ada: Subscriber) -> None:
    """While our worker was away Stripe renewed twice: its letters tell of two invoices, and it shows the last one."""
    ada.shop.play(ada.subscribe())
    ada.hear()
    ada.pass_time(days=62)
    assert list(Payment.objects.values_list("amount_minor", flat=True)) == [999] * 3
    paid_until = ada.ours.paid_until
    assert paid_until is not None
    assert (ada.shop.balance(), paid_until.date()) == (9 * 500, date(2035, 6, 5))
    assert open_letters() == []


def test_change_that_is_not_paid_changes_nothing(ada: Subscriber) -> None:
    ada.shop.play(ada.subscribe())
    ada.hear()
    ada.use_card(FAILING)
    answer = ada.change("elite")
    ada.hear()
    assert (answer["subscription"]["plan"], ada.seen["plan"], ada.seen["status"]) == ("premium", "premium", "active")
    assert Payment.objects.count() == 1
    assert open_letters() == []


def test_change_whose_difference_is_too_little_to_charge_is_paid_with_the_next_period(ada: Subscriber) -> None:
    """On the last day Elite costs 0.33 more, which Stripe charges nobody for: the balance there owes it."""
    ada.shop.play(ada.subscribe())
    ada.hear()
    paid_until = ada.ours.paid_until
    assert paid_until is not None
    ada.pass_until(paid_until - timedelta(days=1))
    ada.change("elite")
    ada.hear()
    assert (ada.seen["plan"], ada.seen["status"], Payment.objects.count()) == ("elite", "active", 1)
    ada.pass_time(days=2)
    assert (ada.seen["plan"], ada.seen["status"]) == ("elite", "active")
    [first, second] = Payment.objects.order_by("id")
    assert (first.amount_minor, 0 < second.amount_minor - 1_999 < 50) == (999, True)
    assert open_letters() == []
    assert checks.faults() == {}


def test_letters_that_never_come_are_made_up_for_by_the_sweep(ada: Subscriber) -> None:
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    ada.shop.play(ada.subscribe())
    ada.pass_time(minutes=10)
    assert ada.seen["status"] == "active"
    ada.pass_time(days=32)
    assert Payment.objects.count() == 2


def test_plan_that_was_paid_unheard_is_not_ended(ada: Subscriber) -> None:
    ada.shop.play(ada.subscribe())
    ada.hear()
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    ada.clock.shift(timedelta(days=32))
    ada.shop.sandbox.advance(timedelta(days=32).total_seconds())
    Subscription.objects.update(lapses_at=timezone.now())
    assert renewals.expire_due().total == 0
    assert (ada.seen["status"], Payment.objects.count()) == ("active", 2)


def test_plan_that_nobody_paid_ends_at_stripe_too(ada: Subscriber) -> None:
    ada.shop.play(ada.subscribe())
    ada.hear()
    ada.use_card(FAILING)
    ada.pass_time(days=32)
    assert ada.seen["status"] == "past_due"
    Subscription.objects.update(lapses_at=timezone.now())
    assert renewals.expire_due().lapsed == 1
    assert (ada.seen["status"], ada.seen["end_reason"]) == ("expired", "unpaid")
    adapter = registry.get("stripe")
    assert isinstance(adapter, Subscribes)
    ref = SubscriptionRef(reference="", id=str(ada.ours.gateway_id))
    assert adapter.fetch_subscription(ref).state is SubscriptionState.CANCELLED
    ada.pass_time(days=40)
    assert Payment.objects.count() == 1


def test_letters_and_the_sweep_at_once_hear_an_invoice_once(ada: Subscriber) -> None:
    ada.shop.play(ada.subscribe())
    ada.shop.sandbox.letters("stripe")
    found = ada.ours
    acts: list[Callable[[], object]] = [partial(gateway_subscriptions.ask, found), inbox.drain] * 2
    run_all(acts)
    ada.hear()
    assert (Payment.objects.count(), ada.seen["status"], ada.shop.balance()) == (1, "active", 500)
    assert checks.faults() == {}
