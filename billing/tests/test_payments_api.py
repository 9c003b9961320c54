"""Checkouts and payments over HTTP, as a customer and a service see them."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import override_settings

from billing import checkout, pricing
from billing.checkout import Wishes
from billing.gateways.errors import Declined, FailureCategory
from billing.models import Payment
from billing.tests import shop
from ledger.tests.books import on
from rest.errors import IdempotencyKeyInProgress
from rest.idempotency import Claim
from rest.models import IdempotencyRecord
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db


def buy(buyer, key: str | None = "", **body: Any) -> Any:
    return post("checkouts", customer(buyer), {"pack": "medium", "currency": "EUR"} | body, key)


def test_checkout_answers_with_the_payment_the_next_step_and_the_choice(buyer, stripe) -> None:
    answer = buy(buyer)
    told = answer.json()
    payment = Payment.objects.get()
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/payments/{payment.pk}"
    assert told["next_action"] == {"type": "redirect", "url": f"https://stripe.example/pay/{stripe.only}"}
    assert told["routing"]["possible"] == ["stripe", "paypal", "cinetpay"]
    shown = {name: told["payment"][name] for name in ("id", "status", "kind", "item", "amount", "currency", "gateway")}
    assert shown == {
        "id": str(payment.pk),
        "status": "pending",
        "kind": "pack",
        "item": "medium",
        "amount": 999,
        "currency": "EUR",
        "gateway": "stripe",
    }


def test_preferred_gateways_are_asked_in_their_order_and_no_others(buyer) -> None:
    told = buy(buyer, gateways=["cinetpay", "paypal"]).json()
    assert told["payment"]["gateway"] == "cinetpay"
    assert told["routing"]["possible"] == ["cinetpay", "paypal"]


def test_same_key_and_body_begin_one_payment(buyer, stripe) -> None:
    first, second = buy(buyer, key="k-1"), buy(buyer, key="k-1")
    assert (second.status_code, second.content) == (201, first.content)
    assert second["Idempotency-Replayed"] == "true"
    assert Payment.objects.count() == 1
    assert len(stripe.asked) == 1


def test_same_key_with_another_body_is_refused(buyer) -> None:
    buy(buyer, key="k-1")
    answer = buy(buyer, key="k-1", currency="XOF")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Payment.objects.count() == 1


def test_answer_that_was_never_kept_is_made_again_from_the_payment(buyer, stripe) -> None:
    """As after a process that died between the gateway's answer and its own."""
    first = buy(buyer, key="k-1")
    IdempotencyRecord.objects.all().delete()
    again = buy(buyer, key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert Payment.objects.count() == 1


def test_request_whose_gateway_is_still_called_is_in_progress(buyer, stripe) -> None:
    buy(buyer, key="k-1")
    IdempotencyRecord.objects.all().delete()
    Payment.objects.get().attempts.update(state="created")
    answer = buy(buyer, key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_progress")


def test_key_whose_answer_was_never_kept_is_still_of_its_own_request(buyer, stripe) -> None:
    buy(buyer, key="k-1")
    IdempotencyRecord.objects.all().delete()
    answer = buy(buyer, key="k-1", currency="XOF")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (Payment.objects.count(), len(stripe.asked)) == (1, 1)


def test_rival_with_the_same_key_that_is_slower_begins_nothing(buyer, stripe) -> None:
    """Both have found no payment of the key; the database knows of the first when the second is written."""
    claim = Claim(scope=f"user:{buyer.pk}", key="k-1", fingerprint=b"same")
    purchase = pricing.pack("medium", "EUR", "en")
    checkout.start(user=buyer, purchase=purchase, wishes=Wishes(), claim=claim)
    with pytest.raises(IdempotencyKeyInProgress):
        checkout.start(user=buyer, purchase=purchase, wishes=Wishes(), claim=claim)
    assert (Payment.objects.count(), len(stripe.asked)) == (1, 1)


def test_key_is_free_again_when_every_gateway_was_down(buyer, gateways) -> None:
    for fake in gateways.values():
        fake.silent = True
    down = buy(buyer, key="k-1")
    assert (down.status_code, down.json()["code"], down["Retry-After"]) == (503, "gateways_down", "7")
    assert down.json()["reasons"][0] == {"gateway": "stripe", "rule": "refused", "detail": "provider_down"}
    for fake in gateways.values():
        fake.silent = False
    assert buy(buyer, key="k-1").status_code == 201


def test_refusal_names_the_reason_of_each_gateway(buyer, stripe) -> None:
    stripe.refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    answer = buy(buyer, gateways=["stripe"])
    assert (answer.status_code, answer.json()["code"]) == (422, "no_gateway_takes_it")
    assert {"gateway": "stripe", "rule": "refused", "detail": "risk"} in answer.json()["reasons"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"pack": "nothing"}, 400, "unknown_pack"),
        ({"currency": "USD"}, 400, "price_missing"),
        ({"currency": "usd"}, 400, "validation_error"),
        ({"amount": 1}, 400, "validation_error"),
        ({"price": 1}, 400, "validation_error"),
        ({"gateways": ["bank"]}, 400, "unknown_gateways"),
        ({"gateways": []}, 400, "validation_error"),
        ({"phone": "0701020304"}, 400, "phone_invalid"),
        ({"phone": "+999"}, 400, "phone_invalid"),
        ({"phone": "+225070102"}, 400, "phone_invalid"),
        ({"success_url": "https://evil.example/"}, 400, "return_url_refused"),
        ({"success_url": "https://localhost@evil.example/"}, 400, "return_url_refused"),
        ({"success_url": "javascript:alert(1)"}, 400, "return_url_refused"),
        ({"cancel_url": "//localhost/"}, 400, "return_url_refused"),
        ({"cancel_url": "http://localhost:99999/"}, 400, "return_url_refused"),
        ({"cancel_url": "http://localhost:x/"}, 400, "return_url_refused"),
        ({"cancel_url": "http://[localhost/"}, 400, "return_url_refused"),
        ({"country": "XX"}, 400, "validation_error"),
        ({"description": "mine"}, 400, "validation_error"),
    ],
)
def test_bad_wishes_are_refused_and_begin_nothing(buyer, stripe, body, status, code) -> None:
    answer = buy(buyer, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Payment.objects.exists()
    assert stripe.asked == []


def test_phone_is_kept_as_gateways_write_it(buyer) -> None:
    assert buy(buyer, phone="+225 07 01-02-03-04").status_code == 201
    assert Payment.objects.get().phone == "+2250701020304"


def test_customer_may_not_name_an_amount(buyer) -> None:
    answer = post("checkouts", customer(buyer), {"amount": 1, "currency": "EUR"})
    assert (answer.status_code, answer.json()["code"]) == (400, "amount_not_yours")


def test_service_may_name_an_amount(buyer, stripe) -> None:
    shop_server = service("start_checkout", acts_for=buyer)
    answer = post("checkouts", shop_server, {"amount": 2_500, "currency": "EUR", "description": "Wedding"})
    payment = Payment.objects.get()
    assert (answer.status_code, payment.kind, payment.amount_minor, payment.description) == (
        201,
        "amount",
        2_500,
        "Wedding",
    )
    stripe.pays()
    shop.told(payment)
    assert on("revenue:payments:EUR") == 2_500


def test_stranger_and_weak_service_begin_nothing(buyer) -> None:
    assert post("checkouts", {}, {"pack": "medium", "currency": "EUR"}).status_code == 401
    weak = service("view_payment", acts_for=buyer)
    assert post("checkouts", weak, {"pack": "medium", "currency": "EUR"}).status_code == 403
    assert not Payment.objects.exists()


def test_payment_of_another_is_not_there(buyer) -> None:
    buy(buyer)
    payment, other = Payment.objects.get(), customer(shop.make_user())
    for path in (f"payments/{payment.pk}", f"payments/{payment.pk}/status", f"payments/{uuid.uuid4()}"):
        assert get(path, other).status_code == 404
    for act in ("cancel", "refresh"):
        assert post(f"payments/{payment.pk}/{act}", other, key=None).status_code == 404
    assert get("payments", other).json()["results"] == []


def test_history_is_newest_first_and_filtered(buyer) -> None:
    ids = [buy(buyer, currency=currency).json()["payment"]["id"] for currency in ("EUR", "XOF", "EUR")]
    who = customer(buyer)
    assert [row["id"] for row in get("payments", who).json()["results"]] == ids[::-1]
    assert [row["id"] for row in get("payments?currency=XOF&gateway=stripe&status=pending", who).json()["results"]] == [
        ids[1]
    ]
    assert get("payments?status=nonsense", who).status_code == 400


def test_history_of_a_period_has_its_first_instant_and_not_its_last(buyer) -> None:
    first, second, third = (buy(buyer).json()["payment"]["id"] for _ in range(3))
    for day, pk in enumerate((first, second, third), start=1):
        Payment.objects.filter(pk=pk).update(created_at=datetime(2026, 3, day, 12, tzinfo=UTC))

    def listed(*wishes: str) -> list[str]:
        found = get("payments?" + "&".join(wishes), customer(buyer)).json()["results"]
        return [row["id"] for row in found]

    since, until = "created_from=2026-03-02T12:00:00Z", "created_before=2026-03-03T12:00:00Z"
    assert (listed(since), listed(until), listed(since, until)) == ([third, second], [second, first], [second])
    assert get("payments?created_from=yesterday", customer(buyer)).status_code == 400


def test_history_asks_the_database_as_often_for_one_as_for_many(buyer, django_assert_num_queries) -> None:
    for _ in range(3):
        buy(buyer)
    who = customer(buyer)
    get("payments", who)
    with django_assert_num_queries(2):
        assert len(get("payments", who).json()["results"]) == 3


def test_status_says_what_the_buyer_does_next(buyer, stripe) -> None:
    path = f"payments/{buy(buyer).json()['payment']['id']}/status"
    assert get(path, customer(buyer)).json()["next_action"]["type"] == "redirect"
    stripe.pays()
    refreshed = post(path.replace("status", "refresh"), customer(buyer), key=None)
    assert (refreshed.status_code, refreshed.json()["status"]) == (200, "succeeded")
    told = get(path, customer(buyer)).json()
    assert (told["status"], told["next_action"]) == ("succeeded", {"type": "none"})


def test_cancel_takes_it_back_once(buyer) -> None:
    path = f"payments/{buy(buyer).json()['payment']['id']}/cancel"
    assert post(path, customer(buyer), key=None).json()["status"] == "cancelled"
    again = post(path, customer(buyer), key=None)
    assert (again.status_code, again.json()["code"], again.json()["state"]) == (409, "payment_over", "cancelled")


def test_refresh_of_a_silent_gateway_says_when_to_come_back(buyer, stripe) -> None:
    path = f"payments/{buy(buyer).json()['payment']['id']}/refresh"
    stripe.silent = True
    answer = post(path, customer(buyer), key=None)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "gateway_silent", "7")


def test_statistics_count_by_currency(buyer, stripe) -> None:
    for _ in range(2):
        payment = Payment.objects.get(pk=buy(buyer).json()["payment"]["id"])
        stripe.pays(payment.attempts.get().reference)
        shop.told(payment)
    buy(buyer, currency="XOF")
    told = get("payments/statistics", customer(buyer)).json()
    euros, francs = told["currencies"]
    assert (euros["currency"], euros["paid_count"], euros["paid"], euros["average"]) == ("EUR", 2, 1_998, 999)
    assert (francs["paid_count"], francs["by_status"]) == (0, {"pending": 1})
    assert told["gateways"] == [
        {"gateway": "stripe", "currency": "EUR", "paid_count": 2, "paid": 1_998, "failed_count": 0},
        {"gateway": "stripe", "currency": "XOF", "paid_count": 0, "paid": 0, "failed_count": 0},
    ]


def test_statistics_by_gateway_are_of_the_period_and_of_the_caller(buyer, stripe) -> None:
    stripe.silent = True
    buy(buyer)  # refused there, and brought to another gateway
    shop.buy()
    gateways = get("payments/statistics", customer(buyer)).json()["gateways"]
    assert [(each["gateway"], each["failed_count"]) for each in gateways] == [("paypal", 0), ("stripe", 1)]
    for period in ("created_from=2100-01-01T00:00:00Z", "created_before=2020-01-01T00:00:00Z"):
        assert get(f"payments/statistics?{period}", customer(buyer)).json()["gateways"] == []


@override_settings(CHECKOUT_RETURN_HOSTS=["shop.example"])
def test_buyer_is_sent_back_with_the_id_of_the_payment(buyer, stripe, monkeypatch) -> None:
    seen: list[Any] = []
    usual = stripe.open_checkout

    def look(request):
        seen.append(request)
        return usual(request)

    monkeypatch.setattr(stripe, "open_checkout", look)
    answer = buy(buyer, success_url="https://shop.example/thanks?from=us")
    [request] = seen
    payment_id = answer.json()["payment"]["id"]
    assert request.success_url == f"https://shop.example/thanks?from=us&payment={payment_id}"
    assert request.notify_url.startswith("http://127.0.0.1:8000/webhooks/stripe/")
