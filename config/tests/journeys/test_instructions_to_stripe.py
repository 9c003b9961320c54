"""What Stripe is told to do with a plan: ours first, and whatever breaks on the way both end the same."""

from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from billing import (
    errors,
    gateway_prices,
    gateway_subscriptions,
    instruction_sending,
    instructions,
    subscriptions,
    tasks,
)
from billing.gateways.errors import Declined, Unavailable, Uncertain
from billing.gateways.subscribing import SubscriptionRef, SubscriptionResult, SubscriptionState
from billing.models import Case, GatewayInstruction, GatewayPrice, PlanPrice
from billing.models.instructions import InstructionKind
from config.tests.journeys.subscriber import FAILING, Subscriber
from events.models import Message

KINDS = ["end_now", "end_later", "keep", "pause", "resume", "next_price"]


@pytest.fixture
def ada(ada: Subscriber) -> Subscriber:
    """On Elite, paid, and from now on Stripe writes no letters."""
    ada.shop.play(ada.subscribe("elite"))
    ada.hear()
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    return ada


def prepare(ada: Subscriber, kind: str) -> GatewayInstruction:
    if kind == "keep":
        subscriptions.cancel(subscription=ada.ours)
    if kind == "resume":
        subscriptions.pause(subscription=ada.ours)
    price = PlanPrice.objects.get(plan__code="premium") if kind == "next_price" else None
    if price is not None:
        gateway_prices.price_at("stripe", price)  # made there beforehand, so that it is not its reply that is lost
    by = User.objects.create(username="operator")
    return GatewayInstruction(subscription=ada.ours, kind=kind, price=price, by=by, reason="asked by telephone")


def give(wanted: GatewayInstruction) -> None:
    instruction_sending.give(
        subscription=wanted.subscription,
        kind=InstructionKind(wanted.kind),
        price=wanted.price,
        by=wanted.by,
        reason=wanted.reason,
    )


def here(ada: Subscriber) -> dict[str, Any]:
    return {name: ada.seen[name] for name in ("status", "cancel_at_period_end", "next_plan")}


def there(ada: Subscriber) -> SubscriptionResult:
    ref = SubscriptionRef(reference="", id=str(ada.ours.gateway_id))
    return gateway_subscriptions.adapter_of("stripe").fetch_subscription(ref)


def changes(ada: Subscriber) -> int:
    """How often Stripe was told to do something with the subscription."""
    path = f"/v1/subscriptions/{ada.ours.gateway_id}"
    sent = [each for each in ada.shop.sandbox.requests("stripe") if each["path"].removeprefix("/stripe") == path]
    return sum(each["method"] != "GET" for each in sent)


def sweep() -> None:
    GatewayInstruction.objects.filter(state="open").update(next_ask_at=timezone.now())
    tasks.renew_due()


def is_done(ada: Subscriber, kind: str) -> None:
    usual: dict[str, object] = {"status": "active", "cancel_at_period_end": False, "next_plan": None}
    ends: dict[str, dict[str, object]] = {
        "end_now": {"status": "cancelled"},
        "end_later": {"cancel_at_period_end": True},
        "pause": {"status": "paused"},
        "next_price": {"next_plan": "premium"},
    }
    assert here(ada) == usual | ends.get(kind, {})
    line = ada.ours.timeline.last()
    assert line is not None
    assert (line.by and line.by.username, line.reason) == ("operator", "asked by telephone")
    told = there(ada)
    assert (told.state is SubscriptionState.CANCELLED) == (kind == "end_now")
    assert (told.cancel_at_period_end, told.is_paused) == (kind == "end_later", kind == "pause")
    assert GatewayInstruction.objects.last().state == "done"  # type: ignore[union-attr]
    assert not GatewayInstruction.objects.filter(state="open").exists()


# Before it resumes Stripe is asked how it stands, and that reply would be the lost one.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "resume"])
def test_reply_that_was_lost_is_asked_for_and_nothing_is_sent_again(ada: Subscriber, kind: str) -> None:
    wanted, before = prepare(ada, kind), here(ada)
    sent = changes(ada)
    ada.shop.sandbox.turn("stripe", drop_after=1.0)
    with pytest.raises(Uncertain):
        give(wanted)
    ada.shop.sandbox.turn("stripe", drop_after=0.0)
    assert (here(ada), GatewayInstruction.objects.last().state) == (before, "open")  # type: ignore[union-attr]
    sweep()
    is_done(ada, kind)
    assert changes(ada) == sent + 1


@pytest.mark.parametrize("kind", KINDS)
def test_process_that_is_killed_before_it_calls_is_made_up_for_by_the_sweep(ada: Subscriber, kind: str) -> None:
    wanted, before = prepare(ada, kind), here(ada)
    sent = changes(ada)
    instructions.write(wanted)  # and no more
    assert (here(ada), changes(ada)) == (before, sent)
    sweep()
    is_done(ada, kind)
    assert changes(ada) == sent + 1


def test_letter_that_is_faster_than_the_sweep_makes_it_ours(ada: Subscriber) -> None:
    wanted = prepare(ada, "end_now")
    ada.shop.sandbox.turn("stripe", drop_after=1.0, notify={"drop": 0.0})
    with pytest.raises(Uncertain):
        give(wanted)
    ada.shop.sandbox.turn("stripe", drop_after=0.0)
    ada.shop.hear("stripe")
    is_done(ada, "end_now")
    assert ada.seen["end_reason"] == "asked"


def test_what_surely_never_arrived_is_taken_back(ada: Subscriber) -> None:
    before = here(ada)
    ada.shop.sandbox.turn("stripe", too_many=True)
    with pytest.raises(Unavailable):
        subscriptions.pause(subscription=ada.ours)
    ada.shop.sandbox.turn("stripe", too_many=False)
    sweep()
    assert (here(ada), GatewayInstruction.objects.get().state, there(ada).is_paused) == (before, "refused", False)


def test_next_wish_waits_until_the_one_before_is_known(ada: Subscriber) -> None:
    """Ended with the period, and nobody knows; then the customer wants to stay after all."""
    ada.shop.sandbox.turn("stripe", drop_after=1.0)
    with pytest.raises(Uncertain):
        subscriptions.cancel(subscription=ada.ours)
    ada.shop.sandbox.turn("stripe", drop_after=0.0)
    assert subscriptions.resume(subscription=ada.ours).cancel_at_period_end is False
    assert list(GatewayInstruction.objects.values_list("kind", "state")) == [("end_later", "done"), ("keep", "done")]
    assert there(ada).cancel_at_period_end is False


def test_what_may_not_be_done_is_not_sent(ada: Subscriber) -> None:
    subscriptions.pause(subscription=ada.ours)
    sent = changes(ada)
    with pytest.raises(errors.SubscriptionState):
        subscriptions.pause(subscription=ada.ours)
    assert changes(ada) == sent


def overtaken_pause(ada: Subscriber) -> None:
    """Written down by a process that died; before the sweep carries it on, the card of the next period is declined."""
    ada.use_card(FAILING)
    instructions.write(prepare(ada, "pause"))
    ada.pass_time(days=33)
    assert (here(ada)["status"], there(ada).is_paused) == ("past_due", True)


def test_pause_that_came_too_late_is_taken_back_there(ada: Subscriber) -> None:
    overtaken_pause(ada)
    sweep()
    assert (here(ada)["status"], there(ada).is_paused) == ("past_due", False)
    assert list(GatewayInstruction.objects.values_list("kind", "state")) == [("pause", "done"), ("resume", "done")]
    assert not Case.objects.exists()


def test_pause_that_cannot_be_taken_back_comes_before_people(ada: Subscriber) -> None:
    overtaken_pause(ada)
    ada.shop.sandbox.reset()  # Stripe knows nothing of it any more
    sweep()
    assert list(GatewayInstruction.objects.values_list("kind", "state")) == [("pause", "done"), ("resume", "refused")]
    case = Case.objects.get()
    assert (case.kind, case.subscription, case.facts["instruction"]) == ("subscription", ada.ours, "resume")


def price_that_stripe_sells_no_more(ada: Subscriber) -> GatewayInstruction:
    wanted = prepare(ada, "next_price")
    adapter: Any = gateway_subscriptions.adapter_of("stripe")
    adapter.api.prices.update(GatewayPrice.objects.get(price=wanted.price).gateway_id, {"active": False})
    return wanted


def test_refusal_that_nobody_waits_for_comes_before_people(ada: Subscriber) -> None:
    """Written down by a process that died: whoever wanted it was told nothing, and would wait for ever."""
    before = here(ada)
    instructions.write(price_that_stripe_sells_no_more(ada))
    sweep()
    case, refused = Case.objects.get(), GatewayInstruction.objects.get()
    assert (refused.state, here(ada)) == ("refused", before)
    assert (case.kind, case.subscription, case.facts["instruction"]) == ("subscription", ada.ours, "next_price")
    assert case.facts["code"] == refused.failure_code != ""
    assert Message.objects.filter(kind="case").count() == len(settings.OPERATOR_EMAILS)
    sweep()
    assert Case.objects.count() == 1


def test_refusal_that_is_heard_is_no_case(ada: Subscriber) -> None:
    wanted = price_that_stripe_sells_no_more(ada)
    with pytest.raises(Declined):
        give(wanted)
    assert GatewayInstruction.objects.get().state == "refused"
    assert not Case.objects.exists()


def test_pause_in_stripes_dashboard_is_ours_and_so_is_its_end(ada: Subscriber) -> None:
    ada.shop.sandbox.turn("stripe", notify={"drop": 0.0})
    adapter: Any = gateway_subscriptions.adapter_of("stripe")
    known = str(ada.ours.gateway_id)
    adapter.api.subscriptions.update(known, {"pause_collection": {"behavior": "void"}})
    ada.hear()
    assert here(ada)["status"] == "paused"
    ada.pass_time(days=60)  # longer than the grace, and two invoices that are void
    assert (here(ada)["status"], there(ada).state) == ("paused", SubscriptionState.ACTIVE)
    adapter.api.subscriptions.update(known, {"pause_collection": ""})
    ada.hear()
    assert here(ada)["status"] == "active"
    ada.pass_time(days=33)  # the next period is charged as ever
    assert (here(ada)["status"], Case.objects.count()) == ("active", 0)
