"""A trial that a gateway charges when it ends: its customer hears of that before, once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from billing import (
    dunning,
    entitlements,
    errors,
    gateway_subscriptions,
    instructions,
    plan_changes,
    subscription_states,
    trial_ends,
)
from billing.checkout import Wishes
from billing.gateways.subscribing import ChangePreview, SubscriptionState
from billing.models import GatewayInstruction, GatewayLetter, GatewayPrice, Payment, Subscription
from billing.models.instructions import InstructionKind
from billing.models.subscriptions import SubscriptionStatus
from billing.tests.fakes import StandIn, send
from billing.tests.renewing import RenewingGateway, begin, read, write
from billing.tests.subscribers import BEGIN, fresh, price
from events.models import Event
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db
ENDS = BEGIN + timedelta(days=7)
WILL_END = "customer.subscription.trial_will_end"


def on_trial(renewing: RenewingGateway, **changes: Any) -> Subscription:
    found = begin()
    renewing.is_paid(minor=0)
    renewing.becomes_in(SubscriptionState.TRIALING, trial_end=ENDS, method="pm_1", **changes)
    write(found, "updated")
    read()
    return fresh(found)


def warn(found: Subscription, number: int = 1) -> list[dict[str, Any]]:
    write(found, WILL_END, number, subject="trial_end")
    read()
    return [event.data for event in Event.objects.filter(type="renewal.reminder", user=found.user)]


def test_customer_hears_what_is_charged_when_the_trial_ends(renewing) -> None:
    found = on_trial(renewing)
    assert warn(found) == [
        {
            "subscription": str(found.pk),
            "plan": "premium",
            "amount": 999,
            "currency": "EUR",
            "due_at": "2026-03-09T09:00:00Z",
            "payment_url": None,
        }
    ]


def test_it_is_said_once(renewing) -> None:
    found = on_trial(renewing)
    assert len(warn(found)) == len(warn(found, 2)) == 1


@pytest.mark.parametrize("meanwhile", ["told", "ended"])
def test_it_is_not_said_again_by_whoever_asked_for_the_card_meanwhile(renewing, monkeypatch, meanwhile: str) -> None:
    found, usual = on_trial(renewing), gateway_subscriptions.method_of

    def after_a_rival(subscription: Subscription) -> str:
        monkeypatch.setattr(gateway_subscriptions, "method_of", usual)
        if meanwhile == "told":
            trial_ends.hear(fresh(found))
        else:
            subscription_states.end_later(subscription_id=found.pk)
        return usual(subscription)

    monkeypatch.setattr(gateway_subscriptions, "method_of", after_a_rival)
    trial_ends.hear(fresh(found))
    told = Event.objects.filter(type="renewal.reminder", user=found.user).count()
    assert (told, fresh(found).reminders) == ((1, 1) if meanwhile == "told" else (0, 0))


def test_customer_without_a_card_there_is_led_to_where_it_is_given(renewing) -> None:
    found = on_trial(renewing)
    renewing.becomes_in(SubscriptionState.TRIALING, method="")
    [told] = warn(found)
    token = str(told["payment_url"]).rpartition("/")[2]
    assert dunning.subscription_of(token) == found


def test_gateway_that_renews_no_plans_says_nothing_of_trials(gateways) -> None:
    about = {"kind": WILL_END, "subject": "trial_end", "ids": {"subscription": "sub_1"}}
    send(gateways["paypal"].letter("x", **about), gateway="paypal")
    read()
    assert (GatewayLetter.objects.get().state, Event.objects.count()) == ("ignored", 0)


def test_trial_that_is_to_end_says_nothing(renewing) -> None:
    assert warn(on_trial(renewing, cancel_at_period_end=True)) == []


def test_plan_that_is_paid_by_now_says_nothing(renewing) -> None:
    found = on_trial(renewing)
    renewing.is_paid("in_2", ENDS, ENDS + timedelta(days=30))
    assert warn(found) == []
    assert fresh(found).status == "active"


# ---------------------------------------------------------------- another plan, which costs nothing until then


class ChangingGateway(RenewingGateway):
    """Changes what is on trial for nothing, and bills it when the trial ends."""

    changes = 0

    def preview_change(self, request: Any) -> ChangePreview:
        return ChangePreview(due=Money(0, "EUR"), discount=Money(0, "EUR"))

    def change_subscription(self, request: Any) -> Any:
        self.changes += 1
        self.known = replace(self.known, price=request.price)
        return self.known


@pytest.fixture
def changing(stand_in: StandIn, on_sale) -> ChangingGateway:
    GatewayPrice.objects.create(gateway="stripe", price=price("elite"), gateway_id="price_2")
    return stand_in(ChangingGateway("stripe"))


def change(found: Subscription) -> Subscription:
    plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=Wishes())
    return fresh(found)


def written(found: Subscription) -> GatewayInstruction:
    wanted = GatewayInstruction(
        subscription=fresh(found), kind=InstructionKind.CHANGE_NOW, price=price("elite"), prorated_at=BEGIN,
        by=found.user, reason="asked",
    )  # fmt: skip
    return instructions.write(wanted)


def test_other_plan_on_trial_is_ours_at_once(changing) -> None:
    found = on_trial(changing)
    ours = change(found)
    assert (ours.status, ours.price.plan.code, ours.trial_until) == ("trialing", "elite", ENDS)
    assert entitlements.has(found.user, "video")
    assert Event.objects.filter(type="subscription.updated", user=found.user).count() == 1
    assert [each["amount"] for each in warn(found)] == [1_999]
    with pytest.raises(errors.SamePrice):
        change(found)
    assert (changing.changes, Payment.objects.count()) == (1, 0)


def test_other_plan_of_a_trial_is_what_its_first_invoice_pays(changing) -> None:
    found = on_trial(changing)
    change(found)
    changing.is_paid("in_2", ENDS, ENDS + timedelta(days=30), minor=1_999)
    changing.known = replace(changing.known, price="price_2")
    write(found, "paid", 2, subject="invoice")
    read()
    ours = fresh(found)
    assert (ours.status, ours.price.plan.code, Payment.objects.get().amount_minor) == ("active", "elite", 1_999)
    assert checks.faults() == {}


def test_other_plan_on_trial_whose_answer_was_lost_is_ours_when_it_is_asked_for(changing) -> None:
    found = on_trial(changing)
    asked = written(found)
    changing.known = replace(changing.known, price="price_2")
    for _ in range(2):
        gateway_subscriptions.ask(fresh(found))
    assert (fresh(found).price.plan.code, instructions.is_done(asked)) == ("elite", True)
    line = found.timeline.get(act="changed")
    assert (line.by, line.reason, line.facts) == (found.user, "asked", {"from": "premium", "to": "elite", "amount": 0})


def test_other_plan_on_trial_is_ours_though_the_trial_stands_still_by_then(changing) -> None:
    found = on_trial(changing)
    asked = written(found)
    Subscription.objects.update(status="paused", paused_at=BEGIN)
    instructions.settle(asked)
    assert (fresh(found).status, fresh(found).price.plan.code) == ("paused", "elite")


def test_other_plan_of_a_trial_that_is_over_by_then_is_not_ours(changing) -> None:
    found = on_trial(changing)
    asked = written(found)
    subscription_states.end(subscription_id=found.pk, status=SubscriptionStatus.CANCELLED, why="at_gateway")
    instructions.settle(asked)
    assert (fresh(found).status, fresh(found).price.plan.code) == ("cancelled", "premium")
    assert not found.timeline.filter(act="changed").exists()
