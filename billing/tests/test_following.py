"""Answers of the gateway that renews a plan, which come later than what they were overtaken by."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import gateway_subscriptions, pausing, subscriptions
from billing.gateways.subscribing import SubscriptionResult, SubscriptionState
from billing.models import Subscription
from billing.tests.renewing import RenewingGateway, paid_once
from billing.tests.subscribers import BEGIN, fresh
from events.models import Event
from ledger import checks

pytestmark = pytest.mark.django_db


def slow_answer(
    renewing: RenewingGateway, monkeypatch: pytest.MonkeyPatch, clock: Any, act: Callable[[], object]
) -> Callable[[Any], SubscriptionResult]:
    """The gateway has answered; before a worker reads it, `act` is done by others."""
    usual = renewing.fetch_subscription

    def fetch(subscription: Any) -> SubscriptionResult:
        found = usual(subscription)
        monkeypatch.setattr(renewing, "fetch_subscription", usual)
        clock.move_to(timezone.now() + timedelta(seconds=1))
        act()
        return found

    return fetch


def acts(found: Subscription) -> list[str]:
    return list(found.timeline.values_list("act", flat=True))


def test_old_answer_takes_no_cancellation_back(renewing, monkeypatch, clock) -> None:
    found = paid_once(renewing)

    def cancel() -> None:
        subscriptions.cancel(subscription=fresh(found))

    monkeypatch.setattr(renewing, "fetch_subscription", slow_answer(renewing, monkeypatch, clock, cancel))
    gateway_subscriptions.ask(fresh(found))
    assert (fresh(found).cancel_at_period_end, renewing.known.cancel_at_period_end) == (True, True)
    assert acts(found)[-1] == "cancel_later"
    assert Event.objects.filter(type="subscription.updated").count() == 1


def test_old_answer_does_not_cancel_again(renewing, monkeypatch, clock) -> None:
    found = paid_once(renewing)
    subscriptions.cancel(subscription=fresh(found))

    def resume() -> None:
        subscriptions.resume(subscription=fresh(found))

    monkeypatch.setattr(renewing, "fetch_subscription", slow_answer(renewing, monkeypatch, clock, resume))
    gateway_subscriptions.ask(fresh(found))
    assert (fresh(found).cancel_at_period_end, acts(found)[-1]) == (False, "resumed")


@pytest.mark.parametrize("ends", [True, False])
def test_older_of_two_answers_about_the_portal_is_not_followed(renewing, monkeypatch, clock, ends) -> None:
    """The customer changed it there, and another worker has heard of that already."""
    found = paid_once(renewing)
    renewing.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=not ends)
    gateway_subscriptions.ask(fresh(found))

    def portal() -> None:
        renewing.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=ends)
        gateway_subscriptions.ask(fresh(found))

    monkeypatch.setattr(renewing, "fetch_subscription", slow_answer(renewing, monkeypatch, clock, portal))
    before = len(acts(found))
    gateway_subscriptions.ask(fresh(found))
    assert fresh(found).cancel_at_period_end is ends
    assert len(acts(found)) == before + 1


@pytest.mark.parametrize("is_paused", [True, False])
def test_older_of_two_answers_about_the_dashboard_is_not_followed(renewing, monkeypatch, clock, is_paused) -> None:
    found = paid_once(renewing)
    renewing.becomes_in(SubscriptionState.ACTIVE, is_paused=not is_paused)
    gateway_subscriptions.ask(fresh(found))

    def dashboard() -> None:
        renewing.becomes_in(SubscriptionState.ACTIVE, is_paused=is_paused)
        gateway_subscriptions.ask(fresh(found))

    monkeypatch.setattr(renewing, "fetch_subscription", slow_answer(renewing, monkeypatch, clock, dashboard))
    gateway_subscriptions.ask(fresh(found))
    assert fresh(found).status == ("paused" if is_paused else "active")
    assert acts(found).count("unpaused") == (not is_paused)
    assert checks.faults() == {}


def test_answer_that_is_younger_is_followed(renewing, clock) -> None:
    found = paid_once(renewing)
    subscriptions.cancel(subscription=fresh(found))
    clock.move_to(BEGIN + timedelta(hours=1))
    renewing.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=False)
    gateway_subscriptions.ask(fresh(found))
    assert fresh(found).cancel_at_period_end is False
    pausing.follow_return(subscription_id=found.pk, since=timezone.now())
    assert fresh(found).status == "active"
