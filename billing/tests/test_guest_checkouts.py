"""A pack for somebody without an account, where the shop takes guests."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from billing.gateways.errors import Declined, FailureCategory
from billing.models import Customer, Payment
from billing.tests import shop
from credits import balances
from events import dispatching, preferences
from events import mail as letters
from rest.tests.callers import customer, post

pytestmark = pytest.mark.django_db


@pytest.fixture
def open_shop(gateways: Any, settings: Any) -> None:
    settings.GUEST_CHECKOUT = True
    shop.make_pack()


def buy(key: str | None = "k-1", client: Client | None = None, **body: Any) -> Any:
    wish = {"pack": "medium", "currency": "EUR", "email": "zoe@example.com"} | body
    wish = {name: value for name, value in wish.items() if value is not None}
    headers = {"Idempotency-Key": key} if key else {}
    return (client or Client()).post(
        "/api/v1/checkouts", json.dumps(wish), content_type="application/json", headers=headers
    )


def test_strangers_are_refused_unless_the_shop_takes_guests(gateways: Any) -> None:
    shop.make_pack()
    answer = buy()
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert not Payment.objects.exists()


def test_guest_buys_and_is_told_where_to_look(open_shop: None, client: Client, settings: Any) -> None:
    answer = buy(locale="fr", country="FR")
    told, payment = answer.json(), Payment.objects.get()
    assert answer.status_code == 201
    assert told["next_action"]["type"] == "redirect"
    assert told["guest"]["customer"] == payment.user.get_username()
    known = Customer.objects.get(user=payment.user)
    assert (known.email, known.locale, known.country) == ("zoe@example.com", "fr", "FR")
    # Said at the checkout, and kept as that.
    assert (payment.details["tax"]["evidence"], payment.country) == ("checkout", "FR")
    assert told["guest"]["page_url"] == f"{settings.BASE_URL}/?payment={payment.pk}"
    page = client.get("/", {"payment": str(payment.pk)})
    assert "Pack Medium" in page.content.decode()


def test_what_a_guest_pays_comes_and_the_receipt_goes_to_their_address(
    open_shop: None, gateways: Any, client: Client
) -> None:
    buy()
    payment = Payment.objects.get()
    attempt = payment.attempts.get()
    gateways[attempt.gateway].pays(attempt.reference)
    shop.told(payment)
    assert balances.of(payment.user).available == 275
    dispatching.tell_new()
    letters.send_due()
    assert [each.to for each in mail.outbox] == [["zoe@example.com"]]
    page = client.get("/", {"payment": str(payment.pk)}).content.decode()
    assert "Your receipt comes by e-mail." in page
    assert 'class="button" href="/credits"' not in page  # it would ask for an account that they do not have


def test_address_of_an_account_leads_nowhere_near_it(open_shop: None) -> None:
    owner = shop.make_user()
    User.objects.filter(pk=owner.pk).update(email="zoe@example.com")
    Customer.objects.create(user=owner, email="zoe@example.com")
    buy(key="one")
    buy(key="two")
    made = {each.user_id for each in Payment.objects.all()}
    assert len(made) == 2
    assert owner.pk not in made
    assert {user.email for user in User.objects.filter(pk__in=made)} == {""}  # no password can be asked for
    assert not any(user.has_usable_password() for user in User.objects.filter(pk__in=made))


def test_nothing_is_written_to_an_address_before_it_is_paid(open_shop: None) -> None:
    buy()
    assert preferences.of(Payment.objects.get().user)["payment_problems"] is False


def test_same_key_is_one_purchase(open_shop: None) -> None:
    first, second = buy(), buy()
    assert (second.status_code, second.content) == (201, first.content)
    assert second["Idempotency-Replayed"] == "true"
    assert Payment.objects.count() == 1
    assert User.objects.filter(username__startswith="guest-").count() == 1


def test_keys_of_two_guests_do_not_meet(open_shop: None) -> None:
    first, second = buy(), buy(email="yan@example.com")
    assert [first.status_code, second.status_code] == [201, 201]
    assert first.json()["payment"]["id"] != second.json()["payment"]["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": None}, "email"),
        ({"email": "no address"}, "email"),
        ({"coupon": "SPRING"}, "coupon"),
        ({"save_method": True}, "save_method"),
        ({"payment_method": 1}, "payment_method"),
        ({"pack": None, "plan": "premium"}, "plan"),
        ({"pack": None, "amount": 500}, "amount"),
    ],
)
def test_guests_buy_packs_and_nothing_else(open_shop: None, body: dict[str, Any], field: str) -> None:
    answer = buy(**body)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field])
    assert not User.objects.filter(username__startswith="guest-").exists()


def test_refused_checkout_leaves_no_customer_behind(open_shop: None) -> None:
    assert buy(phone="not a number").json()["code"] == "phone_invalid"
    assert buy(currency="USD").json()["code"] == "price_missing"
    assert not User.objects.filter(username__startswith="guest-").exists()


def test_guest_whom_a_gateway_refuses_stays_with_their_payment(open_shop: None, gateways: Any) -> None:
    gateways["stripe"].refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    assert buy().status_code == 422
    payment = Payment.objects.select_related("user").get()
    assert (payment.status, payment.attempts.count()) == ("failed", 1)
    assert Customer.objects.get(user=payment.user).email == "zoe@example.com"


def test_guest_needs_a_key(open_shop: None) -> None:
    assert buy(key=None).json()["code"] == "idempotency_key_missing"


def test_guests_of_one_address_are_counted(open_shop: None, settings: Any) -> None:
    settings.THROTTLE_GUEST_CHECKOUT = "2/1h"
    assert [buy(key=f"k-{number}").status_code for number in range(3)] == [201, 201, 429]
    assert Payment.objects.count() == 2


def test_wrong_credentials_are_nobodys_guest(open_shop: None) -> None:
    wish = {"pack": "medium", "currency": "EUR", "email": "zoe@example.com"}
    answer = post("checkouts", {"Authorization": "Bearer nonsense"}, wish)
    assert answer.status_code == 401


def test_customers_send_no_address(open_shop: None) -> None:
    wish = {"pack": "medium", "currency": "EUR", "email": "zoe@example.com"}
    answer = post("checkouts", customer(shop.make_user()), wish)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, ["email"])


def test_guests_see_no_payments(open_shop: None) -> None:
    payment = buy().json()["payment"]["id"]
    assert Client().get(f"/api/v1/payments/{payment}").status_code == 401


def test_address_with_two_ats_buys_nothing(open_shop: None) -> None:
    answer = buy(email='"a@b"@example.com')
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "email")
    assert not User.objects.exists()
    assert not Payment.objects.exists()
