"""Renewals of prepaid plans by the table: reminders, tries, past due, grace, lapse, and a year of one customer."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from billing import (
    dunning,
    entitlements,
    plan_changes,
    plan_payments,
    renewals,
    subscription_states,
    subscriptions,
    tasks,
)
from billing.checkout import Wishes
from billing.gateways.base import Flow, NextAction, PaymentResult
from billing.models import Payment, Subscription
from billing.tests.fakes import FakeGateway
from billing.tests.subscribers import (
    BEGIN,
    begin,
    end_of,
    fails,
    fresh,
    make_plan,
    make_plans,
    make_user,
    pay,
    price,
    subscribed,
)
from credits import balances, calendar, grants
from credits.models import Grant, GrantSource
from events.models import Event
from ledger import checks
from ledger.tests.books import on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
DAY = timedelta(days=1)


@pytest.fixture
def premium(gateways, paypal, clock):
    make_plans()
    return subscribed(paypal)


def told(kind: str) -> int:
    return Event.objects.filter(type=kind).count()


def waiting() -> Payment:
    return Payment.objects.get(status="pending")


def test_customer_is_reminded_three_days_one_day_and_on_the_day(premium, clock) -> None:
    seen = []
    for days in (-4, -3, -2, -1, 0):
        clock.move_to(premium.paid_until + days * DAY)
        for _ in range(2):
            renewals.renew_due()
        seen.append(told("renewal.reminder"))
    assert seen == [0, 1, 1, 2, 3]


def test_reminders_that_were_missed_are_one(premium, clock) -> None:
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    assert told("renewal.reminder") == 1


def test_payment_is_started_when_it_is_due_and_once(premium, clock) -> None:
    clock.move_to(premium.paid_until - timedelta(seconds=1))
    renewals.renew_due()
    assert Payment.objects.count() == 1
    clock.move_to(premium.paid_until)
    for _ in range(3):
        tasks.renew_due()
    assert (Payment.objects.count(), waiting().amount_minor, waiting().details["purpose"]) == (2, 999, "renew")


def test_paid_renewal_goes_on_where_the_period_ended(premium, clock, paypal) -> None:
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    clock.shift(DAY)
    pay(paypal, waiting())
    found = fresh(premium)
    assert (found.status, found.period_start, found.tries) == ("active", premium.paid_until, 0)
    assert end_of(found).isoformat() == "2026-05-02T08:00:00+00:00"


def test_unpaid_renewal_is_past_due_and_keeps_what_it_entitles_to_until_the_grace_is_over(premium, clock) -> None:
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    clock.shift(timedelta(hours=3))
    renewals.renew_due()
    assert (fresh(premium).status, told("subscription.past_due")) == ("past_due", 1)
    clock.move_to(premium.paid_until + 6 * DAY)
    assert entitlements.has(premium.user, "hd_photos")
    clock.move_to(premium.paid_until + 7 * DAY)
    assert not entitlements.has(premium.user, "hd_photos")


def test_tries_follow_the_table(premium, clock, paypal) -> None:
    seen = []
    for days in range(7):
        clock.move_to(premium.paid_until + days * DAY)
        renewals.renew_due()
        for payment in Payment.objects.filter(status="pending"):
            fails(paypal, payment)
        seen.append(Payment.objects.count() - 1)
    assert seen == [1, 2, 2, 3, 3, 4, 4]


def test_plan_lapses_after_the_grace_and_packs_stay(premium, clock) -> None:
    grants.issue(user=premium.user, amount=200, source=GrantSource.PACK, key="pack:1")
    clock.move_to(premium.paid_until + 7 * DAY)
    calendar.grant_due(at=timezone.now())
    before = balances.of(premium.user).available
    tasks.expire_due()
    tasks.expire_due()
    found = fresh(premium)
    assert (found.status, found.end_reason, told("subscription.cancelled")) == ("expired", "unpaid", 1)
    assert balances.of(premium.user).available == before


def test_late_payment_resumes_with_dates_of_its_own(premium, clock, paypal) -> None:
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    late = waiting()
    clock.move_to(premium.paid_until + 20 * DAY)
    renewals.expire_due()
    calendar.grant_due(at=timezone.now())
    given = Grant.objects.count()
    pay(paypal, late)
    calendar.grant_due(at=timezone.now())
    found = fresh(premium)
    assert (found.status, found.period_start) == ("active", premium.paid_until + 20 * DAY)
    assert end_of(found).isoformat() == "2026-05-22T08:00:00+00:00"
    assert Grant.objects.count() == given + 1  # the weeks of the lapse are not given


@pytest.mark.parametrize("days", [0, 5])
def test_trial_that_is_paid_late_begins_on_that_day(gateways, clock, paypal, days) -> None:
    """Nobody had access since it ended."""
    make_plan("tried", {"month": 500}, trial_days=7)
    found = fresh(begin(make_user(), "tried").subscription)
    clock.move_to(found.paid_until + days * DAY)
    pay(paypal, subscriptions.renew(subscription=found, wishes=Wishes(gateways=("paypal",))))
    ours = fresh(found)
    assert (ours.status, ours.period_start) == ("active", found.paid_until + days * DAY)
    assert ours.anchor_at == ours.period_start
    assert ours.paid_until == subscription_states.end_of_period(timezone.now(), "Europe/Paris", "month", 1)


def test_plan_that_is_paid_while_the_sweep_ends_another_goes_on(premium, clock, paypal) -> None:
    """Both were to end when the sweep looked."""
    subscribed(paypal)
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    clock.move_to(premium.paid_until + 7 * DAY)

    def pay_what_is_left(done: int) -> None:
        for left in Subscription.objects.live():
            if (late := plan_payments.pending(left)) is not None:
                pay(paypal, late)

    assert renewals.expire_due(told=pay_what_is_left).total == 1
    assert sorted(Subscription.objects.values_list("status", flat=True)) == ["active", "expired"]


def test_cancelled_at_the_end_of_its_period_asks_for_nothing(premium, clock) -> None:
    subscriptions.cancel(subscription=premium)
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    assert renewals.expire_due().cancelled == 1
    assert (fresh(premium).status, Payment.objects.count(), told("renewal.reminder")) == ("cancelled", 1, 0)


def test_never_paid_is_over_after_a_day(gateways, paypal, clock) -> None:
    make_plans()
    begun = subscriptions.start(user=make_user(), price=price("premium"), wishes=Wishes(gateways=("paypal",)))
    fails(paypal, begun.payment)
    clock.shift(DAY)
    assert renewals.expire_due().abandoned == 1
    assert fresh(begun.subscription).status == "expired"


def test_plan_whose_first_payment_could_still_be_paid_is_not_given_up(gateways, paypal, clock) -> None:
    make_plans()
    begun = subscriptions.start(user=make_user(), price=price("premium"), wishes=Wishes(gateways=("paypal",)))
    clock.shift(DAY)
    assert renewals.expire_due().abandoned == 0
    pay(paypal, begun.payment)
    assert fresh(begun.subscription).status == "active"


def test_gateway_that_is_down_costs_one_line_of_the_table(premium, clock, paypal) -> None:
    clock.move_to(premium.paid_until)
    paypal.silent = True
    assert renewals.renew_due().failed == 1
    paypal.silent = False
    clock.shift(DAY)
    assert renewals.renew_due().started == 1


def test_commands_say_what_they_did_and_what_they_would(premium, clock, capsys) -> None:
    clock.move_to(premium.paid_until)
    call_command("renew_due", "--dry-run")
    call_command("renew_due")
    clock.move_to(premium.paid_until + 7 * DAY)
    call_command("expire_due", "--dry-run")
    call_command("expire_due")
    assert capsys.readouterr().out.splitlines() == [
        "1 subscriptions are due. Nothing was done.",
        "1 looked at: 1 reminded, 1 payments started, 0 past due, 0 could not be started.",
        "1 subscriptions end, 0 were never paid. Nothing was done.",
        "0 ended as asked, 1 lapsed unpaid, 0 were never paid.",
    ]


def test_customer_mends_it_on_the_page_of_the_reminder(premium, clock, paypal) -> None:
    clock.move_to(premium.paid_until)
    path = dunning.mend_url(premium).split("/", 3)[3]
    assert b"9.99" in Client().get(f"/{path}").content
    answer = Client().post(f"/{path}")
    reference = waiting().attempts.get().reference
    assert (answer.status_code, answer["Referrer-Policy"]) == (200, "no-referrer")
    assert f'<a class="button" href="https://paypal.example/pay/{reference}"' in answer.content.decode()
    assert Client().get("/renew/forged").status_code == 404


def test_page_of_the_reminder_says_that_a_telephone_is_being_asked(premium, clock, stand_in) -> None:
    clock.move_to(premium.paid_until)
    stand_in(AskingATelephone("paypal"))
    path = "/" + dunning.mend_url(premium).split("/", 3)[3]
    assert "A payment is under way." not in Client().get(path).content.decode()
    answer = Client().post(path)
    assert (answer.status_code, answer["Location"]) == (302, path)
    assert waiting().attempts.get().state == "requires_action"
    assert "A payment is under way." in Client().get(path).content.decode()


class AskingATelephone(FakeGateway):
    """There is no page: the buyer agrees on their telephone."""

    def _answer(self, reference: str) -> PaymentResult:
        return replace(super()._answer(reference), next_action=NextAction(type=Flow.PHONE_PROMPT))


def test_year_of_premium_is_thirteen_payments_and_fifty_three_weeks(premium, clock, paypal) -> None:
    for _ in range(12):
        clock.move_to(end_of(premium))
        tasks.renew_due()
        pay(paypal, waiting())
    calendar.grant_due(at=BEGIN + 365 * DAY)
    assert (Payment.objects.filter(status="succeeded").count(), Grant.objects.count()) == (13, 53)
    assert balances.of(premium.user).available == 53 * 500
    assert checks.faults() == {}


def test_year_of_one_customer(premium, clock, paypal) -> None:
    """A failed renewal that recovers, Elite for a while, back again, and an end that was asked for."""
    user, upgraded, downgraded = premium.user, False, False
    end = BEGIN + timedelta(days=365)
    failed = 0
    while (step := timezone.now() + DAY) <= end:
        clock.move_to(step)
        tasks.renew_due()
        tasks.expire_due()
        for payment in Payment.objects.filter(status="pending"):
            month = end_of(premium).month
            if month == 6 and failed == 0:
                fails(paypal, payment)
                failed += 1
            else:
                pay(paypal, payment)
        calendar.grant_due(at=timezone.now())
        if not upgraded and step >= datetime.fromisoformat("2026-08-17T12:00:00+00:00"):
            done = plan_changes.change(
                subscription=fresh(premium), price=price("elite"), wishes=Wishes(gateways=("paypal",))
            )
            pay(paypal, done.payment)
            upgraded = True
        if upgraded and not downgraded and step >= datetime.fromisoformat("2026-10-10T00:00:00+00:00"):
            plan_changes.change(subscription=fresh(premium), price=price("premium"), wishes=Wishes())
            downgraded = True
    subscriptions.cancel(subscription=fresh(premium))
    clock.move_to(end_of(premium))
    tasks.expire_due()
    found = fresh(premium)
    assert (found.status, found.end_reason, found.price.plan.code) == ("cancelled", "asked", "premium")
    assert Payment.objects.filter(status="failed").count() == 1
    paid = Payment.objects.filter(status="succeeded")
    assert paid.filter(details__purpose="renew").count() == 12
    assert paid.filter(details__purpose="change").count() == 1
    # Eleven months of Premium and two of Elite, and 9.65 € less 4.82 € for the rest of August.
    assert on("revenue:plans:EUR") == 11 * 999 + 2 * 1_999 + 483
    # Mondays from 2 March to 17 August, and again from 2 November to 1 March: Elite needs none.
    assert list(Grant.objects.filter(purse__user=user).values_list("amount", flat=True)) == [500] * (25 + 18)
    assert checks.faults() == {}


def test_renewal_that_failed_tells_where_it_is_mended(premium, clock, paypal) -> None:
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    fails(paypal, waiting())
    assert Event.objects.get(type="payment.failed").data["retry_url"] == dunning.mend_url(premium)
