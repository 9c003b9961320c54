"""A dearer plan at once, where Stripe charges the difference: it is charged once, or not at all, whatever breaks."""

import re
from uuid import uuid4

import pytest

from billing import errors, gateway_prices, gateway_subscriptions, instruction_sending, instructions, plan_changes
from billing.checkout import Wishes
from billing.gateways.errors import FailureCategory, Unavailable, Uncertain
from billing.models import Case, GatewayInstruction, Payment, PlanPrice
from billing.models.instructions import InstructionKind
from billing.plan_changes import Changed
from billing.tests.renewing import instructed
from billing.tests.test_payments_in_the_admin import member, previewed
from config.tests.journeys.subscriber import FAILING, GOOD, Subscriber
from config.tests.journeys.test_instructions_to_stripe import changes, sweep
from ledger import checks
from rest.tests.operators import browser

DIFFERENCE = 1_999 - 999  # at the first moment of the period


@pytest.fixture
def ada(ada: Subscriber) -> Subscriber:
    """On Premium, paid, and from now on Stripe writes no letters."""
    ada.shop.play(ada.subscribe())
    ada.hear()
    gateway_prices.price_at("stripe", elite())  # made there beforehand, so that it is not its reply that is lost
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    return ada


def elite() -> PlanPrice:
    return PlanPrice.objects.select_related("plan").get(plan__code="elite")


def change(ada: Subscriber) -> Changed:
    return plan_changes.change(subscription=ada.ours, price=elite(), wishes=Wishes())


def give(ada: Subscriber) -> None:
    """As `change`, without the questions of its preview."""
    instruction_sending.give(
        subscription=ada.ours, kind=InstructionKind.CHANGE_NOW, price=elite(), prorated_at=ada.ours.period_start
    )


def write(ada: Subscriber) -> GatewayInstruction:
    """And no more: its process died."""
    wanted = GatewayInstruction(
        subscription=ada.ours,
        kind=InstructionKind.CHANGE_NOW,
        price=elite(),
        prorated_at=ada.ours.period_start,
        reason="asked by telephone",
    )
    return instructions.write(wanted)


def charged(ada: Subscriber) -> list[int]:
    """What Stripe has taken, which must be what we have heard of."""
    theirs = [each["amount_minor"] for each in ada.shop.sandbox.books("stripe")["payments"] if each["state"] == "paid"]
    ours = Payment.objects.filter(status="succeeded").order_by("id").values_list("amount_minor", flat=True)
    assert sorted(ours) == sorted(theirs)
    assert checks.faults() == {}
    return list(ours)


def test_it_is_tried_again_with_another_card(ada: Subscriber) -> None:
    """The first charge is declined; a minute later it is another charge, and not the first one with other words."""
    ada.use_card(FAILING)
    left = ada.change("elite")
    assert (left["subscription"]["plan"], left["next_action"]["type"]) == ("premium", "redirect")
    ada.use_card(GOOD)
    ada.pass_time(minutes=1)
    assert ada.change("elite")["subscription"]["plan"] == "elite"
    assert instructed() == [("change_now", "refused", "not_paid"), ("change_now", "done", "")]
    assert (len(charged(ada)), Case.objects.count()) == (2, 0)


def test_it_is_paid_on_the_page_of_its_invoice(ada: Subscriber) -> None:
    ada.use_card(FAILING)
    left = ada.change("elite")
    ada.shop.play({"next_action": left["next_action"]})
    gateway_subscriptions.ask(ada.ours)
    assert (ada.seen["plan"], ada.seen["status"]) == ("elite", "active")
    assert len(charged(ada)) == 2


def test_own_page_leads_to_the_charge_that_was_not_paid(ada: Subscriber) -> None:
    ada.use_card(FAILING)
    wish = {"subscription": str(ada.ours.pk), "plan": "elite", "interval": "month", "confirmed": "1"}
    led = browser(ada.shop.user).post("/subscription/change", wish).content.decode()
    assert re.search(r'href="[^"]+/pages/invoice/in_', led)


def test_operators_are_told_that_its_charge_was_not_paid(ada: Subscriber) -> None:
    ada.use_card(FAILING)
    operator = member("manage_subscription")
    wish = {"plan": "elite", "interval": "month", "when": "now", "reason": "asked", "key": str(uuid4())}
    path = f"/admin/billing/subscription/{ada.ours.pk}/change_plan/"
    said = browser(operator).post(path, wish | previewed(operator, path, wish), follow=True)
    assert "The charge was not paid" in said.content.decode()
    asked = GatewayInstruction.objects.get()
    assert (asked.by, asked.reason) == (operator, "asked")


def test_reply_that_was_lost_is_asked_for_and_nothing_is_charged_again(ada: Subscriber) -> None:
    sent = changes(ada)
    ada.shop.sandbox.turn("stripe", drop_after=1.0)
    with pytest.raises(Uncertain):
        give(ada)
    ada.shop.sandbox.turn("stripe", drop_after=0.0)
    assert (ada.seen["plan"], instructed()) == ("premium", [("change_now", "open", "")])
    sweep()
    assert (ada.seen["plan"], instructed(), changes(ada)) == ("elite", [("change_now", "done", "")], sent + 1)
    assert charged(ada) == [999, DIFFERENCE]


def test_refusal_whose_reply_was_lost_is_no_second_charge(ada: Subscriber) -> None:
    """Sent again under the same reference, Stripe answers what it answered, whatever the card is by now."""
    ada.use_card(FAILING)
    ada.shop.sandbox.turn("stripe", drop_after=1.0)
    with pytest.raises(Uncertain):
        give(ada)
    ada.shop.sandbox.turn("stripe", drop_after=0.0)
    ada.use_card(GOOD)
    sweep()
    assert (ada.seen["plan"], instructed()) == ("premium", [("change_now", "refused", "not_paid")])
    assert (charged(ada), Case.objects.count()) == ([999], 0)


def test_process_that_is_killed_before_it_calls_is_made_up_for_by_the_sweep(ada: Subscriber) -> None:
    sent = changes(ada)
    write(ada)
    ada.pass_time(minutes=2)
    sweep()
    assert (ada.seen["plan"], instructed(), changes(ada)) == ("elite", [("change_now", "done", "")], sent + 1)
    assert charged(ada) == [999, DIFFERENCE]  # as at the instant that the customer saw


def test_it_is_not_charged_when_nobody_expects_it_any_more(ada: Subscriber) -> None:
    sent = changes(ada)
    write(ada)
    ada.clock.shift(86_400)
    sweep()
    assert (ada.seen["plan"], instructed(), changes(ada)) == ("premium", [("change_now", "refused", "too_late")], sent)
    case = Case.objects.get()
    assert (case.subscription, case.facts["code"]) == (ada.ours, "too_late")
    assert change(ada).payment is None
    assert ada.seen["plan"] == "elite"


def test_customer_who_asks_again_meets_the_one_that_is_open(ada: Subscriber) -> None:
    sent = changes(ada)
    write(ada)
    change(ada)
    assert (ada.seen["plan"], instructed(), changes(ada)) == ("elite", [("change_now", "done", "")], sent + 1)
    assert charged(ada) == [999, DIFFERENCE]


def test_paid_invoice_that_cannot_be_read_at_once_is_read_by_the_sweep(ada: Subscriber, monkeypatch) -> None:
    down = Unavailable("No.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)

    def ask(subscription: object) -> None:
        raise down

    with monkeypatch.context() as patched:
        patched.setattr(gateway_subscriptions, "ask", ask)
        give(ada)  # it is paid: nobody hears of a failure
    assert (ada.seen["plan"], instructed()) == ("premium", [("change_now", "open", "")])
    sent = changes(ada)
    sweep()
    assert (ada.seen["plan"], instructed(), changes(ada)) == ("elite", [("change_now", "done", "")], sent)
    assert charged(ada) == [999, DIFFERENCE]


def test_it_is_not_charged_for_another_plan_than_it_was_seen_for(ada: Subscriber) -> None:
    """Two requests at once: the second has seen the difference to the plan of before."""
    seen, sent = ada.ours, changes(ada)
    change(ada)
    with pytest.raises(errors.SubscriptionState, match="changed meanwhile"):
        instruction_sending.give(
            subscription=seen, kind=InstructionKind.CHANGE_NOW, price=elite(), prorated_at=seen.period_start
        )
    assert (changes(ada), charged(ada)) == (sent + 1, [999, DIFFERENCE])
