"""What a caller calls a payment: their reference and notes, from the checkout to whoever hears of it."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing import refund_sending, refunds
from billing.models import Payment
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.subscribers import make_plans
from events.models import Event
from ledger.money import Money
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db

OWN = {"reference": "order-1881", "metadata": {"shop": "north", "lines": 3, "gift": True, "note": None}}


def buy(buyer: User, **body: Any) -> Any:
    return post("checkouts", customer(buyer), {"pack": "medium", "currency": "EUR", "gateways": ["stripe"]} | body)


def test_checkout_keeps_them_and_every_answer_tells_them(buyer: User) -> None:
    told = buy(buyer, **OWN).json()["payment"]
    assert (told["reference"], told["metadata"]) == (OWN["reference"], OWN["metadata"])
    again = get(f"payments/{told['id']}", customer(buyer)).json()
    assert (again["reference"], again["metadata"]) == (OWN["reference"], OWN["metadata"])


def test_without_them_they_are_empty(buyer: User) -> None:
    told = buy(buyer).json()["payment"]
    assert (told["reference"], told["metadata"]) == ("", {})


def test_service_finds_a_payment_by_its_order(buyer: User) -> None:
    mine = buy(buyer, **OWN).json()["payment"]["id"]
    buy(buyer, reference="order-1882")
    who = service("view_payment", acts_for=buyer)
    assert [each["id"] for each in get("payments?reference=order-1881", who).json()["results"]] == [mine]
    assert get("payments?reference=order", who).json()["results"] == []


def test_events_carry_them(buyer: User, stripe: Any) -> None:
    buy(buyer, **OWN)
    payment = Payment.objects.get()
    stripe.pays(payment.attempts.get().reference)
    shop.told(payment)
    [paid] = Event.objects.filter(type="payment.succeeded")
    assert (paid.data["reference"], paid.data["metadata"]) == (OWN["reference"], OWN["metadata"])


def test_events_of_payments_without_them_are_as_before(buyer: User, stripe: Any) -> None:
    shop.paid(stripe, buyer)
    [paid] = Event.objects.filter(type="payment.succeeded")
    assert not {"reference", "metadata"} & paid.data.keys()


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"reference": "x" * 201}, "reference", "max_length"),
        ({"reference": " padded"}, "reference", "blanks"),
        ({"metadata": ["a list"]}, "metadata", "invalid"),
        ({"metadata": {f"k{number}": 1 for number in range(51)}}, "metadata", "too_many"),
        ({"metadata": {"deep": {"er": 1}}}, "metadata.deep", "value"),
        ({"metadata": {"long": "x" * 501}}, "metadata.long", "value"),
    ],
)
def test_they_are_small_and_flat(buyer: User, body: dict[str, Any], field: str, code: str) -> None:
    answer = buy(buyer, **body)
    [mistake] = answer.json()["errors"]
    assert (answer.status_code, mistake["field"], mistake["code"]) == (400, field, code)
    assert not Payment.objects.exists()


@pytest.mark.parametrize("name", ["reference", "metadata"])
def test_plan_has_a_subscription_instead(buyer: User, name: str) -> None:
    make_plans()
    wish = {"plan": "premium", "interval": "month", "currency": "EUR", name: OWN[name]}
    answer = post("checkouts", customer(buyer), wish)
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [(name, "unexpected")]


def test_operator_finds_a_payment_by_its_order_and_reads_the_notes(buyer: User) -> None:
    buy(buyer, **OWN)
    buy(buyer, reference="order-1882")
    operator = User.objects.create_superuser(f"operator-{uuid.uuid4().hex[:6]}")
    client = Client()
    client.force_login(operator)
    found = client.get("/admin/billing/payment/", {"q": "order-1881"})
    assert [each.reference for each in found.context["cl"].result_list] == ["order-1881"]
    page = client.get(
        f"/admin/billing/payment/{Payment.objects.get(reference='order-1881').pk}/change/"
    ).content.decode()
    assert "order-1881" in page
    assert "shop: north" in page


def test_refund_of_it_is_told_with_them(buyer: User, stripe: Any) -> None:
    buy(buyer, **OWN)
    payment = Payment.objects.get()
    stripe.pays(payment.attempts.get().reference)
    payment = shop.told(payment)
    operator = User.objects.create_user("olive", is_staff=True)
    refunds.request(
        payment=payment, amount=Money(999, "EUR"), policy=RefundPolicy.UNSPENT_ONLY, reason="late", by=operator
    )
    refund_sending.work_through()
    [told] = Event.objects.filter(type="payment.refunded")
    assert told.data["reference"] == "order-1881"
