"""What a gateway that renews plans is told to do, while something else is under way, or is asked for at once."""

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
from billing.gateways.subscribing import SubscriptionState
from billing.models import Case, GatewayInstruction, Subscription
from billing.models.instructions import InstructionKind
from billing.tests.fakes import StandIn
from billing.tests.subscribers import fresh, make_plan, price
from billing.tests.test_subscriptions_at_gateways import RenewingGateway, paid_once

pytestmark = pytest.mark.django_db
NO = Declined("No.", gateway="stripe", category=FailureCategory.INVALID_REQUEST, code="not_now")
DOWN = Unavailable("No.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)


@pytest.fixture
def renewing(stand_in: StandIn, on_sale) -> RenewingGateway:
    return stand_in(RenewingGateway("stripe"))


def told() -> list[tuple[str, str, str]]:
    return list(GatewayInstruction.objects.order_by("id").values_list("kind", "state", "failure_code"))


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
    assert told() == [("pause", "refused", "not_now"), ("end_later", "done", "")]
    case = Case.objects.get()
    assert (case.subscription, case.facts["instruction"]) == (found, "pause")


def test_question_that_is_refused_stops_what_would_come_next(renewing) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.PAUSE)
    renewing.refusal = NO
    with pytest.raises(Declined):
        subscriptions.cancel(subscription=fresh(found))
    assert (told(), fresh(found).cancel_at_period_end) == ([("pause", "open", "")], False)


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
    assert [state for _, state, _ in told()] == ["refused", "done"]
    assert renewing.known.cancel_at_period_end


def test_same_wish_that_is_carried_on_is_told_once(renewing) -> None:
    found = paid_once(renewing)
    open_one(found, InstructionKind.END_LATER)
    assert subscriptions.cancel(subscription=fresh(found)).cancel_at_period_end
    assert told() == [("end_later", "done", "")]
    assert instruction_sending.give(subscription=fresh(found), kind=InstructionKind.KEEP) is None
    assert told() == [("end_later", "done", ""), ("keep", "done", "")]


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
    assert (told(), Case.objects.count()) == ([("pause", "refused", "not_now")], cases)


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
    assert told() == [("next_price", "refused", "TaxNotAdded")]
    assert subscriptions.cancel(subscription=found).cancel_at_period_end


def test_change_of_a_process_that_died_and_that_we_refuse_by_now_is_a_case(renewing, settings) -> None:
    make_plan("lite", {"month": 500})
    found = fresh(paid_once(renewing))
    instructions.write(GatewayInstruction(subscription=found, kind=InstructionKind.NEXT_PRICE, price=price("lite")))
    before_tax(settings)
    assert subscriptions.cancel(subscription=found).cancel_at_period_end
    assert told() == [("next_price", "refused", "TaxNotAdded"), ("end_later", "done", "")]
    assert Case.objects.get().facts["code"] == "TaxNotAdded"
