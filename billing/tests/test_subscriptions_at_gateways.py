"""Plans that a gateway renews by itself: whatever order its letters come in, ours ends as it says."""

import itertools
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import orjson
import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from billing import (
    errors,
    following,
    gateway_subscriptions,
    instructions,
    invoices,
    plan_changes,
    plans,
    renewals,
    subscription_states,
    subscriptions,
)
from billing.checkout import Wishes
from billing.gateways.base import Flow, NextAction
from billing.gateways.errors import Declined, FailureCategory, Unavailable
from billing.gateways.subscribing import (
    SubscriptionResult,
    SubscriptionState,
)
from billing.gateways.tax_figures import TaxFigures, TaxReason
from billing.models import Case, GatewayInstruction, GatewayLetter, Payment, PlanPrice, Subscription, TaxRate
from billing.models.instructions import InstructionKind
from billing.models.subscriptions import SubscriptionStatus
from billing.tests.fakes import send
from billing.tests.renewing import END, begin, lapsed, paid_once, read, write
from billing.tests.subscribers import BEGIN, fresh, make_plan, make_user, price
from billing.tests.test_payments_in_the_admin import member, press
from credits import balances
from credits.models import Grant, GrantSchedule
from events.models import Message
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db
STRIPES = TaxFigures(tax=Money(53, "EUR"), reason=TaxReason.TAXED)
KINDS = ("created", "updated", "past_due", "deleted")


def test_plan_begins_on_the_page_of_the_gateway(renewing) -> None:
    begun = subscriptions.start(user=make_user(), price=price("premium"), wishes=Wishes(gateways=("stripe",)))
    assert begun.next_action == {"type": "redirect", "url": "https://stripe.example/subscribe"}
    assert (begun.payment, begun.subscription.status, Payment.objects.count()) == (None, "incomplete", 0)


def test_paid_invoice_extends_once_however_often_it_is_told(renewing) -> None:
    found = begin()
    renewing.is_paid()
    for number in range(3):
        write(found, "paid", number, subject="invoice")
        read()
    ours = fresh(found)
    assert (ours.status, ours.paid_until, ours.gateway_id) == ("active", END, "sub_1")
    assert (Payment.objects.count(), on("revenue:plans:EUR")) == (1, 999)
    assert balances.of(found.user).available == 500
    assert checks.faults() == {}


def test_invoice_of_nothing_gives_nothing(renewing) -> None:
    found = begin()
    renewing.is_paid(minor=0)
    renewing.becomes_in(SubscriptionState.TRIALING, trial_end=BEGIN + timedelta(days=7))
    write(found, "paid", subject="invoice")
    read()
    assert (fresh(found).status, Payment.objects.count(), balances.of(found.user).available) == ("trialing", 0, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(KINDS)))
def test_every_order_of_letters_ends_in_the_truth(renewing, order) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    renewing.becomes_in(SubscriptionState.CANCELLED)
    for number, kind in enumerate([*order, order[0]]):
        write(found, kind, number)
        read()
    ours = fresh(found)
    assert (ours.status, ours.end_reason) == ("cancelled", "at_gateway")
    assert (Grant.objects.count(), Payment.objects.count()) == (1, 1)
    assert not GatewayLetter.objects.exclude(state="done").exists()


def test_failed_payment_is_past_due_and_the_next_paid_one_is_active_again(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    renewing.becomes_in(SubscriptionState.PAST_DUE, period_start=END, period_end=END + timedelta(days=30))
    write(found, "failed", subject="invoice")
    read()
    assert fresh(found).status == "past_due"
    renewing.is_paid("in_2", END, END + timedelta(days=30))
    write(found, "paid", 2, subject="invoice")
    read()
    assert (fresh(found).status, fresh(found).paid_until) == ("active", END + timedelta(days=30))


def test_unknown_subscription_is_adopted_when_it_names_our_customer(renewing) -> None:
    user = make_user()
    renewing.is_paid()
    renewing.becomes_in(
        SubscriptionState.ACTIVE,
        raw={"metadata": {"user": user.get_username(), "price": str(price("premium").pk)}},
    )
    stranger = Subscription(user=user)
    write(stranger, "created")
    read()
    ours = Subscription.objects.get(user=user)
    assert (ours.status, ours.gateway_id, balances.of(user).available) == ("active", "sub_1", 500)


@pytest.mark.parametrize("metadata", [{}, {"user": "nobody"}, {"user": "buyer", "price": "9" * 30}])
def test_subscription_that_names_nobody_of_ours_is_not_adopted(renewing, metadata) -> None:
    renewing.is_paid()
    renewing.known = replace(renewing.known, raw={"metadata": metadata})
    send(renewing.letter("ab" * 16, subject="subscription", ids={"subscription": "sub_1"}, id="evt_1"))
    read()
    assert GatewayLetter.objects.get().error == "It is about no subscription of ours."
    assert not Subscription.objects.exists()


def test_second_subscription_of_a_catalogue_is_not_adopted(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    metadata = {"user": found.user.username, "price": str(found.price_id)}
    renewing.known = replace(renewing.known, id="sub_2", raw={"metadata": metadata})
    send(renewing.letter("ab" * 16, subject="subscription", ids={"subscription": "sub_2"}, id="evt_2"))
    read()
    assert GatewayLetter.objects.get(event_id="evt_2").error == "It is about no subscription of ours."
    assert Subscription.objects.get().gateway_id == "sub_1"


def test_page_on_which_a_plan_begins_is_about_the_plan(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "completed", subject="payment")
    read()
    assert (fresh(found).status, balances.of(found.user).available) == ("active", 500)


def test_period_that_is_told_after_the_next_one_changes_nothing_of_today(renewing) -> None:
    found = begin()
    later = END + timedelta(days=30)
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    ends = fresh(found).paid_until
    assert ends is not None
    elite = price("elite")
    facts: dict[str, Any] = {"subscription_id": found.pk, "amount_minor": 999}
    subscription_states.extend(key="third", price=price("premium"), until=(later, later + timedelta(days=30)), **facts)
    before = list(GrantSchedule.objects.filter(user=found.user).values())
    subscription_states.extend(key="second", price=elite, until=(END, later), **facts)
    assert list(GrantSchedule.objects.filter(user=found.user).values()) == before != []
    ours = fresh(found)
    assert (ours.price.plan.code, ours.paid_until) == ("premium", later + timedelta(days=30))
    assert ours.paid_periods.count() == 3


def test_cancel_with_the_period_is_told_to_the_gateway(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    subscriptions.cancel(subscription=fresh(found))
    assert renewing.known.cancel_at_period_end
    assert not subscriptions.resume(subscription=fresh(found)).cancel_at_period_end


# ---------------------------------------------------------------- the money of its invoices


@pytest.mark.parametrize(("told", "tax", "category"), [(None, 167, "S"), (STRIPES, 53, "S")])
def test_invoice_of_a_renewal_bears_the_tax_of_its_sale(renewing, settings, told, tax, category) -> None:
    """Ours, as a checkout freezes it, unless the gateway has reckoned the tax itself."""
    settings.SELLER_COUNTRY, settings.TAX_SCHEME = "FR", "standard"
    TaxRate.objects.get_or_create(
        country="FR", category="standard", valid_from=date(2026, 1, 1), defaults={"basis_points": 2_000}
    )
    found = begin()
    renewing.is_paid()
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], tax=told)
    write(found, "paid", subject="invoice")
    read()
    issued = invoices.issue(payment=Payment.objects.get())
    assert (issued.tax_minor, issued.gross_minor, issued.lines.get().tax_category) == (tax, 999, category)
    assert (on("tax:EUR"), on("revenue:plans:EUR")) == (tax, 999 - tax)
    assert checks.faults() == {}


def test_letter_of_the_payment_of_an_invoice_is_no_stranger(renewing) -> None:
    found = begin()
    renewing.is_paid()
    renewing.invoices["in_1"] = replace(
        renewing.invoices["in_1"], payment_intent="pi_1", subscription="sub_1", reference=found.pk.hex
    )
    letter = {
        "id": "evt_pi",
        "kind": "payment",
        "reference": "",
        "subject": "payment",
        "ids": {"payment_intent": "pi_1"},
    }
    send(orjson.dumps(letter))
    read()
    assert (fresh(found).status, GatewayLetter.objects.get().state) == ("active", "done")
    assert Payment.objects.get().attempts.get().gateway_ids["payment_intent"] == "pi_1"


def test_invoices_of_an_outage_are_heard_in_their_order(renewing) -> None:
    found = begin()
    renewing.is_paid()
    renewing.is_paid("in_2", END, END + timedelta(days=30))
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], period_start=BEGIN, period_end=END)
    write(found, "updated")
    read()
    periods = list(fresh(found).paid_periods.values_list("starts_at", "ends_at"))
    assert periods == [(BEGIN, END), (END, END + timedelta(days=30))]


def test_page_that_was_paid_on_is_found_before_it_is_given_up(renewing) -> None:
    found = begin()
    renewing.is_paid()
    with time_machine.travel(BEGIN + timedelta(hours=25), tick=False):
        assert renewals.expire_due().abandoned == 0
    assert (fresh(found).status, Payment.objects.count()) == ("active", 1)


def test_page_that_nobody_paid_on_is_given_up(renewing) -> None:
    found = begin()
    with time_machine.travel(BEGIN + timedelta(hours=25), tick=False):
        assert renewals.expire_due().abandoned == 1
    assert (fresh(found).status, Payment.objects.count()) == ("expired", 0)


DOWN = Unavailable("No.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)


@pytest.mark.parametrize(("attribute", "value"), [("refusal", DOWN), ("keeps_pages", True)])
def test_plan_whose_page_cannot_be_closed_is_not_given_up(renewing, attribute, value) -> None:
    found, usual = begin(), getattr(renewing, attribute)
    setattr(renewing, attribute, value)
    with time_machine.travel(BEGIN + timedelta(hours=25), tick=False):
        assert (renewals.expire_due().abandoned, fresh(found).status) == (0, "incomplete")
        setattr(renewing, attribute, usual)
        assert (renewals.expire_due().abandoned, fresh(found).status) == (1, "expired")


def test_plan_that_was_paid_before_its_end_is_written_down_goes_on(renewing) -> None:
    unpaid = begin()
    renewing.is_paid()
    write(unpaid, "paid", subject="invoice")
    read()
    with pytest.raises(errors.SubscriptionLive):
        subscriptions.cancel_now(subscription=unpaid)  # as whoever asks for it has read it
    assert (fresh(unpaid).status, "close cs_1" in renewing.asked) == ("active", False)


def test_plan_that_began_there_unpaid_is_ended_there_when_it_is_given_up(renewing) -> None:
    found = begin()
    renewing.becomes_in(SubscriptionState.INCOMPLETE, id="sub_1")  # the page is done with, its first invoice is open
    with time_machine.travel(BEGIN + timedelta(hours=25), tick=False):
        assert renewals.expire_due().abandoned == 1
    assert (fresh(found).status, renewing.known.state) == ("expired", SubscriptionState.CANCELLED)


def test_what_could_not_be_charged_is_mended_on_its_invoice_else_in_the_portal(renewing) -> None:
    found = begin()
    with pytest.raises(errors.NotYours):  # nobody is known there yet
        gateway_subscriptions.portal(subscription=found, return_url="")
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    led = []
    for way in (None, NextAction(type=Flow.REDIRECT, url="https://stripe.example/invoice/in_2")):
        renewing.becomes_in(SubscriptionState.PAST_DUE, next_action=way)
        led.append(gateway_subscriptions.mending_page(subscription=fresh(found)))
    assert led == ["https://stripe.example/portal/cus_1", "https://stripe.example/invoice/in_2"]


def test_money_of_an_invoice_that_is_told_after_the_end_is_a_case(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    subscriptions.cancel_now(subscription=fresh(found))
    renewing.is_paid("in_2", END, END + timedelta(days=30))
    renewing.becomes_in(SubscriptionState.CANCELLED)
    write(found, "deleted")
    read()
    assert (fresh(found).status, fresh(found).paid_until) == ("cancelled", END)
    assert (Payment.objects.count(), on("revenue:plans:EUR"), Case.objects.count()) == (2, 2 * 999, 1)
    assert checks.faults() == {}


def test_answer_that_was_overtaken_by_a_payment_does_not_make_it_past_due(renewing) -> None:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    assert not subscription_states.mark_past_due(subscription_id=found.pk, unless_paid_until=END)
    assert fresh(found).status == "active"


# ---------------------------------------------------------------- over here, and at the gateway?


@pytest.mark.parametrize("state", [SubscriptionState.NOT_FOUND, SubscriptionState.PAST_DUE])
def test_plan_that_nobody_paid_ends_whether_its_gateway_still_knows_it_or_not(renewing, state) -> None:
    found = paid_once(renewing)
    gone = SubscriptionResult(state=state)
    renewing.known = gone if state is SubscriptionState.NOT_FOUND else replace(renewing.known, state=state)
    with time_machine.travel(lapsed(found), tick=False):
        assert renewals.expire_due().lapsed == 1
    assert (fresh(found).status, fresh(found).end_reason, Case.objects.count()) == ("expired", "unpaid", 0)


@pytest.mark.parametrize(
    ("kind", "category", "cases"),
    [
        (Unavailable, FailureCategory.CONFIGURATION, 1),  # a wrong key: 401, 403
        (Declined, FailureCategory.INVALID_REQUEST, 1),
        (Unavailable, FailureCategory.PROVIDER_DOWN, 0),
    ],
)
def test_plan_of_which_we_may_not_ask_goes_on_and_somebody_is_told(renewing, kind, category, cases) -> None:
    found = paid_once(renewing)
    renewing.refusal = kind("No.", gateway="stripe", category=category, code="no")
    with time_machine.travel(lapsed(found), tick=False):
        assert [renewals.expire_due().total for _ in range(2)] == [0, 0]
    assert fresh(found).status == "active"
    assert list(Case.objects.values_list("kind", "subscription")) == [("subscription", found.pk)] * cases


def test_plan_that_a_letter_ends_while_the_sweep_asks_stays_as_the_letter_said(renewing, monkeypatch) -> None:
    found, usual = paid_once(renewing), following.follow_end
    renewing.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=True)

    def follow_end(**facts: Any) -> None:
        ended = SubscriptionStatus.CANCELLED
        assert subscription_states.end(subscription_id=found.pk, status=ended, why="at_gateway")
        usual(**facts)

    monkeypatch.setattr(following, "follow_end", follow_end)
    with time_machine.travel(lapsed(found), tick=False):
        assert renewals.expire_due().total == 0
    assert (fresh(found).status, fresh(found).end_reason) == ("cancelled", "at_gateway")


def test_instruction_of_which_nobody_hears_in_the_end_comes_before_people(renewing, settings) -> None:
    found = paid_once(renewing)
    instructions.write(GatewayInstruction(subscription=found, kind=InstructionKind.END_LATER))  # and its process died
    renewing.refusal = DOWN
    last, cases = timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS), []
    for moment in (BEGIN + last / 2, BEGIN + last, BEGIN + 2 * last):
        renewals.carry_instructions_on(now=moment)
        cases.append(list(Case.objects.values_list("kind", "subscription")))
    assert cases == [[], [("subscription", found.pk)], [("subscription", found.pk)]]
    assert Message.objects.get(kind="case").data["instruction"] == "end_later"
    assert GatewayInstruction.objects.get().state == "open"


# ---------------------------------------------------------------- changes that the gateway would charge otherwise


@pytest.mark.parametrize(("code", "when"), [("elite", "period_end"), ("lite", ""), ("lite", "now")])
def test_other_interval_does_not_wait_where_it_would_be_charged_at_once(renewing, code, when) -> None:
    make_plan("lite", {"year": 5_000})
    plan = plans.find("elite")
    PlanPrice.objects.create(plan=plan, interval="year", currency="EUR", amount_minor=19_990, valid_from=BEGIN)
    found = fresh(paid_once(renewing))
    with pytest.raises(errors.IntervalNotLater):
        plan_changes.change(subscription=found, price=price(code, "year"), wishes=Wishes(), when=when)
    assert not GatewayInstruction.objects.exists()


@pytest.mark.parametrize("is_heard", [True, False])
def test_dearer_plan_does_not_begin_while_the_gateway_has_another_for_the_next_period(renewing, is_heard) -> None:
    make_plan("lite", {"month": 500})
    found = fresh(paid_once(renewing))
    planned = GatewayInstruction(subscription=found, kind=InstructionKind.NEXT_PRICE, price=price("lite"))
    instructions.write(planned)
    if is_heard:
        instructions.settle(planned)
        assert fresh(found).next_price == price("lite")
    for act in (plan_changes.preview, partial(plan_changes.change, wishes=Wishes())):
        with pytest.raises(errors.ChangePlanned):
            act(subscription=fresh(found), price=price("elite"))
    back = plan_changes.preview(subscription=fresh(found), price=price("lite"), when="period_end")
    assert (back.when, back.due.minor) == ("period_end", 0)


def test_time_is_not_given_where_the_gateway_would_charge_on_the_old_day(renewing) -> None:
    found = fresh(paid_once(renewing))
    operator = member("manage_subscription")
    with pytest.raises(errors.SubscriptionState, match="would charge on the old day"):
        subscription_states.give_time(
            subscription_id=found.pk, until=END + timedelta(days=9), by=operator, reason="outage"
        )
    asked = browser(operator).get(page("billing_subscription_extend", found.pk))
    assert "Not possible here" in asked.content.decode()  # said before anything is filled in
    told = press(operator, "billing_subscription_extend", found, until="2026-05-01", reason="outage")
    assert "give credits or a refund instead" in told.content.decode()
    assert (fresh(found).paid_until, fresh(found).timeline.filter(act="extended").count()) == (END, 0)


def test_operator_is_told_that_a_pause_keeps_no_days_there(renewing) -> None:
    found = paid_once(renewing)
    text = browser(member("manage_subscription")).get(page("billing_subscription_pause", found.pk)).content.decode()
    assert "the next charge comes on its usual day" in text


def test_own_page_offers_and_says_only_what_its_gateway_does(renewing, client: Client) -> None:
    found = paid_once(renewing)
    client.force_login(found.user)
    shown = client.get("/subscription").content.decode()
    assert "€19.99 per month" in shown
    assert "per year" not in shown
    Subscription.objects.update(status=SubscriptionStatus.PAUSED, paused_at=timezone.now())
    shown = client.get("/subscription").content.decode()
    assert "The time of the pause is not added" in shown
    assert "goes on when you resume it" not in shown
