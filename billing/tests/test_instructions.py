"""What a gateway that renews plans is told to do, while something else is under way, or is asked for at once."""

from dataclasses import replace
from typing import Any

import pytest

from billing import (
    errors,
    gateway_subscriptions,
    instruction_sending,
    instructions,
    plan_changes,
    renewals,
    subscriptions,
)
from billing.checkout import Wishes
from billing.gateways.errors import Declined, FailureCategory, Unavailable
from billing.gateways.subscribing import SubscriptionResult, SubscriptionState
from billing.models import Case, GatewayInstruction, GatewayPrice, Payment, Subscription
from billing.models.instructions import InstructionKind
from billing.tests.renewing import END, RenewingGateway, instructed, paid_once
from billing.tests.subscribers import BEGIN, fresh, make_plan, price
from ledger import checks

pytestmark = pytest.mark.django_db
NO = Declined("No.", gateway="stripe", category=FailureCategory.INVALID_REQUEST, code="not_now")
DOWN = Unavailable("No.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)


def open_one(subscription: Subscription, kind: InstructionKind) -> GatewayInstruction:
    return instructions.write(GatewayInstruction(subscription=subscription, kind=kind))


def test_refusal_of_another_wish_is_not_heard_by_whoever_cancels(renewing, monkeypatch) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.PAUSE)  # an operator's, whose process died

    def refuse(**_: Any) -> Any:
        raise NO

    monkeypatch.setattr(renewing, "pause_subscription", refuse)
    assert subscriptions.cancel(subscription=fresh(found)).cancel_at_period_end
    assert renewing.known.cancel_at_period_end
    assert instructed() == [("pause", "refused", "not_now"), ("end_later", "done", "")]
    case = Case.objects.get()
    assert (case.subscription, case.facts["instruction"]) == (found, "pause")


def test_question_that_is_refused_stops_what_would_come_next(renewing) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.PAUSE)
    renewing.refusal = NO
    with pytest.raises(Declined):
        subscriptions.cancel(subscription=fresh(found))
    assert (instructed(), fresh(found).cancel_at_period_end) == ([("pause", "open", "")], False)


def test_whoever_meets_the_same_wish_is_not_told_that_it_is_done_when_it_was_taken_back(renewing, monkeypatch) -> None:
    """Two cancel at once; the first one's surely never arrives, and is taken back while the second asks about it."""
    found = paid_once(renewing)
    first = open_one(found, InstructionKind.END_LATER)
    usual = gateway_subscriptions.ask

    def ask(subscription: Subscription) -> Subscription:
        instructions.withdraw(first, DOWN.code)
        return usual(subscription)

    monkeypatch.setattr(gateway_subscriptions, "ask", ask)
    assert subscriptions.cancel(subscription=fresh(found)).cancel_at_period_end
    assert [state for _, state, _ in instructed()] == ["refused", "done"]
    assert renewing.known.cancel_at_period_end


def test_same_wish_that_is_carried_on_is_told_once(renewing) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.END_LATER)
    assert subscriptions.cancel(subscription=fresh(found)).cancel_at_period_end
    assert instructed() == [("end_later", "done", "")]
    assert instruction_sending.give(subscription=fresh(found), kind=InstructionKind.KEEP) is None
    assert instructed() == [("end_later", "done", ""), ("keep", "done", "")]


def leaves_as_it_is(renewing: RenewingGateway, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """It answers what it says of the subscription, and that is as before."""
    monkeypatch.setattr(renewing, act, lambda **_: renewing.known)


def ends_there(renewing: RenewingGateway) -> Subscription:
    found = paid_once(renewing)
    renewing.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=True)
    return gateway_subscriptions.ask(fresh(found))


def stands_still_there(renewing: RenewingGateway) -> Subscription:
    found = paid_once(renewing)
    renewing.becomes_in(SubscriptionState.PAUSED)
    return gateway_subscriptions.ask(fresh(found))


NOT_DONE = [
    (ends_there, InstructionKind.KEEP, "keep_subscription"),
    (stands_still_there, InstructionKind.RESUME, "resume_subscription"),
    (paid_once, InstructionKind.END_LATER, "end_subscription_later"),
    (paid_once, InstructionKind.PAUSE, "pause_subscription"),
    (paid_once, InstructionKind.END_NOW, "end_subscription"),
]


@pytest.mark.parametrize(("prepare", "kind", "act"), NOT_DONE)
def test_what_the_gateway_has_not_done_is_not_done_here(renewing, monkeypatch, prepare, kind, act) -> None:
    """It answered, and its answer is of a plan that is not as it was told: nobody is told that it is."""
    found = fresh(prepare(renewing))
    leaves_as_it_is(renewing, monkeypatch, act)
    with pytest.raises(Declined):
        instruction_sending.give(subscription=found, kind=kind)
    assert (instructed(), Case.objects.count()) == ([(kind, "refused", "not_done")], 0)
    ours = fresh(found)
    assert (ours.status, ours.cancel_at_period_end) == (found.status, found.cancel_at_period_end)


@pytest.mark.parametrize(("prepare", "kind", "act"), NOT_DONE)
def test_what_was_not_done_when_nobody_waits_comes_before_people(renewing, monkeypatch, prepare, kind, act) -> None:
    found = fresh(prepare(renewing))
    instruction = open_one(found, kind)
    leaves_as_it_is(renewing, monkeypatch, act)
    renewals.carry_instructions_on(now=instruction.next_ask_at)
    assert instructed() == [(kind, "refused", "not_done")]
    assert (Case.objects.get().facts["code"], fresh(found).status) == ("not_done", found.status)


@pytest.mark.parametrize("state", [SubscriptionState.EXPIRED, SubscriptionState.NOT_FOUND])
def test_what_is_over_there_is_ended_here(renewing, monkeypatch, state) -> None:
    found = paid_once(renewing)
    monkeypatch.setattr(renewing, "end_subscription", lambda **_: SubscriptionResult(state=state))
    assert subscriptions.cancel_now(subscription=fresh(found)).status == "cancelled"
    assert instructed() == [("end_now", "done", "")]


@pytest.mark.parametrize(("is_over", "cases"), [(True, 0), (False, 1)])
def test_refusal_of_what_a_plan_that_is_over_was_told_bothers_nobody(renewing, monkeypatch, is_over, cases) -> None:
    """Its process died, and nobody waits for the answer."""
    found = paid_once(renewing)
    given = open_one(found, InstructionKind.PAUSE)
    if is_over:
        renewing.becomes_in(SubscriptionState.CANCELLED)

    def refuse(**_: Any) -> Any:
        raise NO

    monkeypatch.setattr(renewing, "pause_subscription", refuse)
    renewals.carry_instructions_on(now=given.next_ask_at)
    assert fresh(found).status == ("cancelled" if is_over else "active")
    assert (instructed(), Case.objects.count()) == ([("pause", "refused", "not_now")], cases)


def before_tax(settings: Any) -> None:
    """From now on the gateway would charge the prices of this catalogue without the tax that is due."""
    settings.SELLER_COUNTRY, settings.TAX_SCHEME = "FR", "standard"
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companions"]


def test_change_that_we_refuse_ourselves_stands_in_nobodys_way(renewing, settings) -> None:
    make_plan("lite", {"month": 500})
    found = fresh(paid_once(renewing))
    before_tax(settings)
    with pytest.raises(errors.TaxNotAdded):
        plan_changes.change(subscription=found, price=price("lite"), wishes=Wishes())
    assert instructed() == [("next_price", "refused", "TaxNotAdded")]
    assert subscriptions.cancel(subscription=found).cancel_at_period_end


def test_change_of_a_process_that_died_and_that_we_refuse_by_now_is_a_case(renewing, settings) -> None:
    make_plan("lite", {"month": 500})
    found = fresh(paid_once(renewing))
    instructions.write(GatewayInstruction(subscription=found, kind=InstructionKind.NEXT_PRICE, price=price("lite")))
    before_tax(settings)
    assert subscriptions.cancel(subscription=found).cancel_at_period_end
    assert instructed() == [("next_price", "refused", "TaxNotAdded"), ("end_later", "done", "")]
    assert Case.objects.get().facts["code"] == "TaxNotAdded"


# ---------------------------------------------------------------- over, while a charge is under way


def dearer(found: Subscription) -> GatewayInstruction:
    """A change that was written down, and whose process died."""
    GatewayPrice.objects.create(gateway="stripe", price=price("elite"), gateway_id="price_2")
    wanted = GatewayInstruction(
        subscription=fresh(found), kind=InstructionKind.CHANGE_NOW, price=price("elite"), prorated_at=BEGIN
    )
    return instructions.write(wanted)


def test_dearer_plan_that_has_not_arrived_is_not_charged_to_whoever_cancels_at_once(renewing) -> None:
    found = paid_once(renewing)
    dearer(found)  # the gateway of this test would fail, were it sent
    assert subscriptions.cancel_now(subscription=fresh(found)).status == "cancelled"
    assert instructed() == [("change_now", "refused", "plan_ended"), ("end_now", "done", "")]
    assert (fresh(found).price.plan.code, Payment.objects.count(), Case.objects.count()) == ("premium", 1, 0)
    assert checks.faults() == {}


def test_dearer_plan_that_has_arrived_is_heard_before_the_end(renewing) -> None:
    found = paid_once(renewing)
    dearer(found)
    renewing.is_paid("in_2", BEGIN, END, minor=1_000)
    renewing.known = replace(renewing.known, price="price_2")
    assert subscriptions.cancel_now(subscription=fresh(found)).status == "cancelled"
    assert instructed() == [("change_now", "done", ""), ("end_now", "done", "")]
    assert (fresh(found).price.plan.code, Payment.objects.count()) == ("elite", 2)
    assert checks.faults() == {}


def test_dearer_plan_stays_open_while_nobody_knows_whether_it_has_arrived(renewing) -> None:
    found = paid_once(renewing)
    dearer(found)
    renewing.refusal = DOWN
    with pytest.raises(Unavailable):
        subscriptions.cancel_now(subscription=fresh(found))
    assert (instructed(), fresh(found).status) == ([("change_now", "open", "")], "active")


def test_end_that_is_refused_leaves_nothing_open_that_would_charge(renewing, monkeypatch) -> None:
    found = paid_once(renewing)
    dearer(found)

    def refuse(**_: Any) -> Any:
        raise NO

    monkeypatch.setattr(renewing, "end_subscription", refuse)
    with pytest.raises(Declined):
        subscriptions.cancel_now(subscription=fresh(found))
    assert instructed() == [("change_now", "refused", "plan_ended"), ("end_now", "refused", "not_now")]
    assert (fresh(found).status, Payment.objects.count()) == ("active", 1)


def test_paused_plan_that_is_cancelled_does_not_go_on_and_is_not_charged_first(renewing) -> None:
    found = paid_once(renewing)
    settled = open_one(found, InstructionKind.PAUSE)
    renewing.known = replace(renewing.known, is_paused=True)
    instructions.settle(settled)
    open_one(found, InstructionKind.RESUME)
    assert subscriptions.cancel(subscription=fresh(found)).status == "cancelled"
    assert instructed()[1:] == [("resume", "refused", "plan_ended"), ("end_now", "done", "")]


def test_end_that_meets_its_like_is_carried_on(renewing) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.END_NOW)
    assert subscriptions.cancel_now(subscription=fresh(found)).status == "cancelled"
    assert instructed() == [("end_now", "done", "")]
