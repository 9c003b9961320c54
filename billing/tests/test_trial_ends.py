"""A trial that a gateway charges when it ends: its customer hears of that before, once."""

from datetime import timedelta
from typing import Any

import pytest

from billing import dunning, gateway_subscriptions, subscription_states, trial_ends
from billing.gateways.subscribing import SubscriptionState
from billing.models import Subscription
from billing.tests.fakes import StandIn
from billing.tests.subscribers import BEGIN, fresh
from billing.tests.test_subscriptions_at_gateways import RenewingGateway, begin, read, write
from events.models import Event

pytestmark = pytest.mark.django_db
ENDS = BEGIN + timedelta(days=7)
WILL_END = "customer.subscription.trial_will_end"


@pytest.fixture
def renewing(stand_in: StandIn, on_sale) -> RenewingGateway:
    return stand_in(RenewingGateway("stripe"))


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


def test_trial_that_is_to_end_says_nothing(renewing) -> None:
    assert warn(on_trial(renewing, cancel_at_period_end=True)) == []


def test_plan_that_is_paid_by_now_says_nothing(renewing) -> None:
    found = on_trial(renewing)
    renewing.is_paid("in_2", ENDS, ENDS + timedelta(days=30))
    assert warn(found) == []
    assert fresh(found).status == "active"
