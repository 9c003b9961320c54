"""A plan's page at Stripe that was left: whatever ends the plan closes it, and what was paid on it is not lost."""

from typing import Any

import pytest
from django.utils import timezone

from billing import gateway_prices, renewals, tasks
from billing.models import Payment, Subscription
from billing.tests.couponing import make_coupon
from billing.tests.couponing import state as coupon_state
from config.tests.journeys.subscriber import Subscriber
from ledger import checks
from rest.tests.callers import customer
from sandbox.testing import Refused


def cancel(ada: Subscriber) -> Any:
    return ada.shop.browser.delete("/api/v1/subscription?immediately=true", headers=customer(ada.shop.user))


def is_closed(ada: Subscriber, begun: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="expired"):
        ada.shop.play(begun)
    assert not Payment.objects.exists()


def test_plan_that_is_cancelled_unpaid_closes_its_page(ada: Subscriber) -> None:
    begun = ada.subscribe()
    answer = cancel(ada)
    assert (answer.status_code, answer.json()["status"], answer.json()["end_reason"]) == (200, "cancelled", "asked")
    is_closed(ada, begun)
    assert list(ada.ours.timeline.values_list("act", flat=True)) == ["asked", "closing_page", "ended"]
    ada.hear()  # the letter that the page has expired
    assert ada.seen["status"] == "cancelled"


def test_plan_that_was_paid_unheard_is_not_cancelled(ada: Subscriber) -> None:
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    ada.shop.play(ada.subscribe())
    answer = cancel(ada)
    assert (answer.status_code, answer.json()["code"]) == (409, "subscription_live")
    ada.hear()
    assert (ada.seen["status"], ada.shop.balance(), Payment.objects.get().status) == ("active", 500, "succeeded")
    assert checks.faults() == {}


def test_end_that_stripe_did_not_hear_of_is_made_up_for_by_the_sweep(ada: Subscriber) -> None:
    begun = ada.subscribe()
    ada.shop.sandbox.turn("stripe", outage=True)
    assert cancel(ada).status_code == 503
    assert ada.seen["status"] == "incomplete"
    ada.shop.sandbox.turn("stripe", outage=False)
    Subscription.objects.update(next_look_at=timezone.now())
    tasks.renew_due()
    assert (ada.seen["status"], ada.seen["end_reason"]) == ("cancelled", "asked")
    is_closed(ada, begun)


def test_page_that_nobody_came_back_to_is_closed_by_the_sweep(ada: Subscriber, settings: Any) -> None:
    settings.SUBSCRIPTION_INCOMPLETE_HOURS = 0
    begun = ada.subscribe()
    assert renewals.expire_due().abandoned == 1
    assert (ada.seen["status"], ada.seen["end_reason"]) == ("expired", "unpaid")
    is_closed(ada, begun)


def test_another_plan_in_its_place_closes_the_page_before(ada: Subscriber, settings: Any) -> None:
    first = ada.subscribe()
    settings.SUBSCRIPTION_INCOMPLETE_HOURS = 0
    second = ada.subscribe("elite")
    is_closed(ada, first)
    ada.shop.play(second)
    ada.hear()
    assert (ada.seen["plan"], ada.seen["status"]) == ("elite", "active")


def test_plan_that_is_ended_while_its_page_is_made_has_no_page(ada: Subscriber, monkeypatch: Any) -> None:
    usual: Any = gateway_prices.price_at

    def ended_first(*arguments: Any) -> str:
        assert cancel(ada).status_code == 200
        return str(usual(*arguments))

    monkeypatch.setattr(gateway_prices, "price_at", ended_first)
    wish = {"plan": "premium", "currency": "EUR", "gateways": ["stripe"]}
    begun = ada.shop.post("subscription", wish, **{"idempotency-key": "start"})
    assert (begun.status_code, begun.json()["code"]) == (409, "subscription_state")
    expired = [each for each in ada.shop.sandbox.requests("stripe") if each["path"].endswith("/expire")]
    assert len(expired) == 1


# ---------------------------------------------------------------- a page that there is not, or may be


def ask_to_begin(ada: Subscriber, key: str, **more: str) -> Any:
    wish = {"plan": "premium", "currency": "EUR", "gateways": ["stripe"], **more}
    return ada.shop.post("subscription", wish, **{"idempotency-key": key})


@pytest.mark.parametrize("trouble", ["outage", "too_many"])
def test_plan_that_stripe_surely_did_not_begin_stands_in_no_way(ada: Subscriber, trouble: str) -> None:
    make_coupon()
    ada.shop.sandbox.turn("stripe", **{trouble: True})
    assert ask_to_begin(ada, "first", coupon="WELCOME10").status_code == 503
    assert (ada.seen["status"], ada.seen["end_reason"]) == ("expired", "no_gateway")
    assert coupon_state() == [("released", False)]
    ada.shop.sandbox.turn("stripe", **{trouble: False})
    begun = ask_to_begin(ada, "second", coupon="WELCOME10")
    assert (begun.status_code, coupon_state()[-1]) == (201, ("reserved", True))
    ada.shop.play(begun.json())
    ada.hear()
    assert (ada.seen["status"], checks.faults()) == ("active", {})


def lose_the_answer(ada: Subscriber, dial: str) -> Subscription:
    ask_to_begin(ada, "before")  # Stripe knows the customer and the price by then, so that the page is the only call
    cancel(ada)
    ada.shop.sandbox.turn("stripe", **{dial: 1.0})
    assert ask_to_begin(ada, "lost").status_code == 503
    ada.shop.sandbox.turn("stripe", **{dial: 0.0})
    assert ask_to_begin(ada, "soon").json()["code"] == "subscription_live"
    lost = Subscription.objects.live().get()
    assert (lost.status, lost.gateway_session) == ("incomplete", "")
    return lost


def test_page_whose_address_was_lost_stands_until_it_is_closed(ada: Subscriber) -> None:
    lose_the_answer(ada, "drop_after")
    ada.pass_time(minutes=10)
    assert ada.seen["status"] == "incomplete"  # it may still be paid on
    assert cancel(ada).status_code == 200
    assert ask_to_begin(ada, "again").status_code == 201


def test_page_that_was_never_made_is_over_when_stripe_knows_nothing_of_it(ada: Subscriber) -> None:
    lost = lose_the_answer(ada, "drop_before")
    ada.pass_time(seconds=100)
    assert ada.seen["status"] == "incomplete"  # that it is not there proves nothing yet
    ada.pass_time(minutes=10)
    lost.refresh_from_db()
    assert (lost.status, lost.end_reason) == ("expired", "unpaid")
    assert ask_to_begin(ada, "again").status_code == 201
