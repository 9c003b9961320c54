"""Plans and the subscription over HTTP, as a customer sees them."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from billing import dunning, subscriptions
from billing.models import Payment, PlanPrice, Subscription
from billing.tests.renewing import RenewingGateway
from billing.tests.subscribers import make_plan, make_plans, make_user, pay, price, subscribed
from credits import balances
from ledger.tests.books import on
from rest.models import IdempotencyRecord
from rest.tests.callers import customer, get, post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def user(gateways, clock):
    make_plans()
    return make_user()


def subscribe(user, plan: str = "premium", key: str | None = "", **body: Any) -> Any:
    return post("subscription", customer(user), {"plan": plan, "currency": "EUR", "gateways": ["paypal"]} | body, key)


def test_plans_are_told_to_anybody(user) -> None:
    found = {each["code"]: each for each in Client().get("/api/v1/plans").json()["results"]}
    assert found["premium"]["grants"] == [{"amount": 500, "unit": "CREDIT", "every": "week"}]
    assert found["premium"]["prices"] == [
        {"interval": "month", "currency": "EUR", "amount": 999},
        {"interval": "year", "currency": "EUR", "amount": 9_990},
    ]
    assert found["elite"]["unlimited"] is True


def test_subscribing_answers_with_the_page_to_pay_on(user, paypal) -> None:
    answer = subscribe(user)
    told = answer.json()
    assert answer.status_code == 201
    assert told["next_action"] == {"type": "redirect", "url": f"https://paypal.example/pay/{paypal.only}"}
    assert (told["subscription"]["status"], told["payment"]["amount"], told["payment"]["kind"]) == (
        "incomplete",
        999,
        "plan",
    )


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"phone": "garbage"}, "phone_invalid"),
        ({"gateways": ["nope"]}, "unknown_gateways"),
        ({"success_url": "https://evil.example"}, "return_url_refused"),
        ({"cancel_url": "https://evil.example"}, "return_url_refused"),
    ],
)
def test_trial_takes_no_wishes_that_its_first_payment_would_refuse(user, wish: dict[str, Any], code: str) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    answer = subscribe(user, "tried", **wish)
    assert (answer.status_code // 100, answer.json()["code"]) == (4, code)
    assert not Subscription.objects.exists()


def test_trial_keeps_the_telephone_as_its_payments_take_it(user, paypal) -> None:
    make_plan("tried", {"month": 500}, trial_days=7)
    assert subscribe(user, "tried", phone="+237 670-000-001 ext. 12").status_code == 201
    begun = Subscription.objects.get()
    assert (begun.status, begun.phone) == ("trialing", "+237670000001")
    renewed = subscriptions.renew(subscription=begun, wishes=subscriptions.wishes_of(begun))
    assert renewed.phone == begun.phone


def test_plan_is_begun_at_the_checkout_too(user, paypal) -> None:
    wish = {"plan": "premium", "interval": "year", "currency": "EUR", "gateways": ["paypal"]}
    first, second = (post("checkouts", customer(user), wish, "k-1") for _ in range(2))
    payment, begun = Payment.objects.get(), Subscription.objects.get()
    assert (first.status_code, first["Location"]) == (201, f"/api/v1/payments/{payment.pk}")
    assert first.json()["next_action"] == {"type": "redirect", "url": f"https://paypal.example/pay/{paypal.only}"}
    assert (first.json()["payment"]["kind"], first.json()["payment"]["amount"]) == ("plan", 9_990)
    assert (begun.user, begun.status, begun.price.interval) == (user, "incomplete", "year")
    assert (second.status_code, second.content, second["Idempotency-Replayed"]) == (201, first.content, "true")


@pytest.mark.parametrize(
    ("days", "status", "step"),
    [
        (7, "trialing", {"type": "none"}),
        (0, "incomplete", {"type": "redirect", "url": "https://stripe.example/subscribe"}),
    ],
)
def test_plan_without_a_payment_of_ours_leads_to_the_subscription(user, stand_in, days, status, step) -> None:
    """On trial nothing is paid yet, and where the gateway renews by itself the payments are its own."""
    stand_in(RenewingGateway("stripe"))
    make_plan("tried", {"month": 500}, trial_days=days)
    wish = {"plan": "tried", "currency": "EUR", "gateways": ["stripe"]}
    first, second = (post("checkouts", customer(user), wish, "k-1") for _ in range(2))
    assert (first.status_code, first["Location"]) == (201, "/api/v1/subscription")
    assert first.json() == {"payment": None, "next_action": step, "routing": None}
    assert (Subscription.objects.get().status, Payment.objects.count()) == (status, 0)
    assert (second.status_code, second.content) == (201, first.content)


def test_same_key_subscribes_once(user) -> None:
    first, second = subscribe(user, key="k"), subscribe(user, key="k")
    assert (second.status_code, second.content) == (201, first.content)
    assert (Subscription.objects.count(), Payment.objects.count()) == (1, 1)


def test_subscription_says_what_comes(user, paypal) -> None:
    subscribed(paypal, user)
    told = get("subscription", customer(user)).json()
    shown = ("status", "plan", "interval", "amount", "cancel_at_period_end", "current_period_end", "next_grant_at")
    assert {name: told[name] for name in shown} == {
        "status": "active",
        "plan": "premium",
        "interval": "month",
        "amount": 999,
        "cancel_at_period_end": False,
        "current_period_end": "2026-04-02T08:00:00Z",
        "next_grant_at": "2026-03-09T09:00:00Z",
    }
    assert len(told["next_grants"]) == 12


def test_nobody_sees_another_s(user, paypal) -> None:
    subscribed(paypal, user)
    assert get("subscription", customer(make_user())).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"plan": "gold"}, 400, "unknown_plan"),
        ({"currency": "XOF"}, 400, "plan_price_missing"),
        ({"interval": "week"}, 400, "plan_price_missing"),
        ({"interval": "day"}, 400, "validation_error"),
        ({"colour": "red"}, 400, "validation_error"),
    ],
)
def test_wrong_wishes_are_refused(user, body, status, code) -> None:
    answer = subscribe(user, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Subscription.objects.exists()


def test_second_live_one_is_409_and_named(user, paypal) -> None:
    found = subscribed(paypal, user)
    answer = subscribe(user, "elite")
    assert (answer.status_code, answer.json()["code"], answer.json()["subscription"]) == (
        409,
        "subscription_live",
        str(found.pk),
    )


def test_change_is_previewed_to_the_cent_and_changes_nothing(user, paypal) -> None:
    subscribed(paypal, user)
    answer = post("subscription/change", customer(user), {"plan": "elite", "preview": True})
    told = answer.json()["preview"]
    assert {name: told[name] for name in ("when", "due", "charge", "credit", "currency", "next_amount")} == {
        "when": "now",
        "due": 1_000,
        "charge": 1_999,
        "credit": 999,
        "currency": "EUR",
        "next_amount": 1_999,
    }
    assert (Payment.objects.count(), balances.of(user).available) == (1, 500)


def test_preview_takes_no_key_and_uses_none_up(user, paypal) -> None:
    """An answer that was kept would be yesterday's figures, and the change itself another request of its key."""
    subscribed(paypal, user)
    wish = {"plan": "elite", "gateways": ["paypal"]}
    assert post("subscription/change", customer(user), wish | {"preview": True}, key=None).status_code == 200
    looked = post("subscription/change", customer(user), wish | {"preview": True}, key="change-1")
    assert (looked.status_code, looked.json()["preview"]["due"]) == (200, 1_000)
    changed = post("subscription/change", customer(user), wish, key="change-1")
    assert (changed.status_code, "Idempotency-Replayed" in changed) == (200, False)
    assert post("subscription/change", customer(user), wish, key="change-1").json() == changed.json()
    refused = post("subscription/change", customer(user), wish, key=None)
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_missing")


def test_change_is_paid_and_then_in_force(user, paypal) -> None:
    subscribed(paypal, user)
    post("subscription/change", customer(user), {"plan": "elite", "gateways": ["paypal"]})
    pay(paypal, Payment.objects.get(status="pending"))
    assert get("subscription", customer(user)).json()["plan"] == "elite"
    assert get("entitlements", customer(user)).json() == {
        "entitlements": {"active_companions": "unlimited", "video": True}
    }


def test_change_to_the_same_price_is_409(user, paypal) -> None:
    subscribed(paypal, user)
    answer = post("subscription/change", customer(user), {"plan": "premium"})
    assert (answer.status_code, answer.json()["code"]) == (409, "same_price")


def test_cancel_and_resume(user, paypal) -> None:
    subscribed(paypal, user)
    later = Client().delete("/api/v1/subscription", headers=customer(user)).json()
    assert (later["status"], later["cancel_at_period_end"]) == ("active", True)
    assert post("subscription/resume", customer(user)).json()["cancel_at_period_end"] is False
    now = Client().delete("/api/v1/subscription?immediately=true", headers=customer(user)).json()
    assert (now["status"], now["end_reason"]) == ("cancelled", "asked")


def end(user, **query: str) -> Any:
    return Client().delete("/api/v1/subscription", QUERY_STRING=urlencode(query), headers=customer(user))


def test_end_with_the_period_is_previewed_and_ends_nothing(user, paypal) -> None:
    found = subscribed(paypal, user)
    told = end(user, preview="true").json()
    assert (told["status"], told["cancel_at_period_end"]) == ("active", False)
    ending = told["cancellation"]
    assert [each["amount"] for each in ending.pop("coming_grants")] == [500] * 4
    assert ending == {
        "when": "period_end",
        "ends_at": told["current_period_end"],
        "lost_until": None,
        "lost_grants": [],
        "next_amount": 999,
        "next_payment_at": told["current_period_end"],
        "may_resume": True,
    }
    found.refresh_from_db()
    assert (found.status, found.cancel_at_period_end) == ("active", False)


def test_end_at_once_is_previewed_with_what_is_lost_and_that_is_what_happens(user, paypal) -> None:
    subscribed(paypal, user)
    ending = end(user, preview="true", immediately="true").json()["cancellation"]
    assert (ending["when"], ending["may_resume"], ending["coming_grants"]) == ("now", False, [])
    assert ending["lost_until"] == get("subscription", customer(user)).json()["current_period_end"]
    assert [each["is_paid"] for each in ending["lost_grants"]] == [True] * 4
    done = end(user, immediately="true").json()
    assert (done["status"], done["next_grants"]) == ("cancelled", [])
    assert "cancellation" not in done
    assert balances.of(user).available == 500  # given before


def test_preview_of_what_ends_already_has_nothing_to_save(user, paypal) -> None:
    subscribed(paypal, user)
    end(user)
    ending = end(user, preview="true").json()["cancellation"]
    assert (ending["when"], ending["next_amount"], ending["next_payment_at"]) == ("period_end", None, None)


def test_plan_that_stands_still_would_end_at_once(user, paypal) -> None:
    subscriptions.pause(subscription=subscribed(paypal, user))
    assert end(user, preview="true").json()["cancellation"]["when"] == "now"
    assert end(user).json()["status"] == "cancelled"


def test_preview_of_a_paused_plan_says_what_waits_and_would_be_lost(user, paypal, clock) -> None:
    found = subscribed(paypal, user)
    subscriptions.pause(subscription=found)
    left = dunning.paid_until(found) - timezone.now()
    clock.shift(timedelta(days=90))
    ending = end(user, preview="true").json()["cancellation"]
    assert ending["when"] == "now"
    assert datetime.fromisoformat(ending["lost_until"]) == timezone.now() + left
    assert ending["next_payment_at"] is None


def test_preview_of_what_is_over_is_refused_as_the_act_is(user, paypal) -> None:
    subscribed(paypal, user)
    end(user, immediately="true")
    refused = [end(user, preview="true"), end(user)]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "subscription_state")] * 2


def test_portal_is_our_own_page_where_no_gateway_has_one(user, paypal) -> None:
    subscribed(paypal, user)
    url = post("subscription/portal", customer(user)).json()["url"]
    assert Client().get("/" + url.split("/", 3)[3]).status_code == 200


def test_next_period_is_paid_once(user, paypal, clock) -> None:
    found = subscribed(paypal, user)
    clock.move_to(found.paid_until)
    first, second = (post("subscription/renew", customer(user), {"gateways": ["paypal"]}) for _ in range(2))
    assert first.json()["payment"]["id"] == second.json()["payment"]["id"]
    assert on("revenue:plans:EUR") == 999


# ---------------------------------------------------------------- answers that were never kept


def lose_the_answer() -> None:
    """As after a process that died between the payment and its own answer."""
    IdempotencyRecord.objects.all().delete()


def test_answer_of_a_start_that_was_never_kept_is_made_again_and_says_so(user, paypal) -> None:
    first = subscribe(user, key="k")
    lose_the_answer()
    again = subscribe(user, key="k")
    assert (again.status_code, again.json(), again.get("Idempotency-Replayed")) == (201, first.json(), "true")


@pytest.mark.parametrize(("body", "path"), [({"plan": "elite"}, "change"), ({}, "renew")])
def test_answer_that_was_never_kept_is_made_again_once_it_is_paid(user, paypal, clock, body, path) -> None:
    subscribed(paypal, user)
    wish = {"gateways": ["paypal"], **body}
    first = post(f"subscription/{path}", customer(user), wish, "k")
    lose_the_answer()
    clock.shift(3_600)
    paid = pay(paypal, Payment.objects.get(status="pending"))
    again = post(f"subscription/{path}", customer(user), wish, "k")
    assert (again.status_code, again.get("Idempotency-Replayed")) == (first.status_code, "true")
    assert (again.json()["payment"]["id"], again.json()["payment"]["status"]) == (str(paid.pk), "succeeded")
    assert again.json().get("preview") == first.json().get("preview")
    assert Payment.objects.count() == 2


def test_answer_of_a_change_to_another_interval_is_made_again(user, paypal, clock) -> None:
    found = subscribed(paypal, user)
    PlanPrice.objects.create(
        plan=price("elite").plan, interval="year", currency="EUR", amount_minor=19_990, valid_from=found.created_at
    )
    wish = {"plan": "elite", "interval": "year", "gateways": ["paypal"]}
    first = post("subscription/change", customer(user), wish, "k")
    lose_the_answer()
    clock.shift(3_600)
    pay(paypal, Payment.objects.get(status="pending"))
    again = post("subscription/change", customer(user), wish, "k")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["preview"] == first.json()["preview"]
