"""Coupons over HTTP: in checkouts and their preview, redeemed alone, and every refusal by its name."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Payment, Subscription
from billing.models.coupons import CouponDuration, CouponKind
from billing.tests import shop
from billing.tests.couponing import make_coupon, moved, taxed, uses
from billing.tests.subscribers import make_plan
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db


def send(path: str, buyer: Any, **body: Any) -> Any:
    return post(path, customer(buyer), {"pack": "medium", "currency": "EUR", "coupon": "welcome10"} | body)


def test_checkout_with_a_coupon_costs_less_and_says_so(buyer) -> None:
    make_coupon()
    answer = send("checkouts", buyer)
    told = answer.json()["payment"]
    assert (answer.status_code, told["amount"], told["discount"], told["coupon"]) == (201, 899, 100, "WELCOME10")
    again = get(f"payments/{told['id']}", customer(buyer)).json()
    assert (again["coupon"], again["discount"]) == ("WELCOME10", 100)


def test_payment_without_a_coupon_names_none(buyer) -> None:
    told = post("checkouts", customer(buyer), {"pack": "medium", "currency": "EUR"}).json()["payment"]
    assert (told["coupon"], told["discount"]) == (None, 0)


def test_checkout_of_nothing_is_delivered_and_leads_nowhere(buyer) -> None:
    make_coupon(basis_points=10_000)
    told = send("checkouts", buyer).json()
    assert (told["payment"]["status"], told["payment"]["amount"]) == ("succeeded", 0)
    assert (told["next_action"], told["routing"]) == ({"type": "none"}, {"possible": [], "ruled_out": []})
    assert get("credits/balance", customer(buyer)).json()["available"] == 275


def test_same_key_uses_the_coupon_once(buyer) -> None:
    make_coupon(limit_per_customer=1)
    body = {"pack": "medium", "currency": "EUR", "coupon": "WELCOME10"}
    first, second = (post("checkouts", customer(buyer), body, "k-1") for _ in range(2))
    assert (second.status_code, second.content, uses()) == (201, first.content, 1)


def test_preview_tells_the_figures_and_takes_nothing(buyer, settings) -> None:
    taxed(settings)
    make_coupon(basis_points=5_000, credits=40, name_en="Spring", name_fr="Printemps")
    before = moved()
    answer = send("checkouts/preview", buyer, country="FR", gateways=["stripe"])
    told = answer.json()
    assert (answer.status_code, moved(), told.pop("routing")["possible"]) == (200, before, ["stripe"])
    assert told == {
        "kind": "pack",
        "item": "medium",
        "description": "Pack Medium",
        "price": 999,
        "discount": 500,
        "amount": 499,
        "tax": 83,
        "currency": "EUR",
        "coupon": {
            "code": "WELCOME10",
            "name": "Spring",
            "kind": "percent",
            "payments": 1,
            "credits": 40,
            "unit": "CREDIT",
        },
    }


def test_preview_without_a_coupon_is_the_price(buyer) -> None:
    told = post("checkouts/preview", customer(buyer), {"pack": "medium", "currency": "EUR"}, None).json()
    assert (told["price"], told["discount"], told["amount"], told["coupon"]) == (999, 0, 999, None)


def test_plan_is_previewed_and_begun_with_a_coupon(buyer) -> None:
    make_plan("premium", {"month": 999})
    make_coupon(duration=CouponDuration.REPEATING, periods=3)
    wish = {"plan": "premium", "currency": "EUR", "coupon": "WELCOME10"}
    seen = post("checkouts/preview", customer(buyer), wish, None).json()
    assert (seen["kind"], seen["amount"], seen["coupon"]["payments"]) == ("plan", 899, 3)
    begun = post("subscription", customer(buyer), wish).json()
    assert (begun["payment"]["amount"], begun["payment"]["coupon"]) == (899, "WELCOME10")
    assert (Subscription.objects.count(), uses()) == (1, 1)


NOW = timezone.now()
REFUSALS: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
    ({}, {"coupon": "NOTHING"}, 400, "unknown_coupon"),
    ({"starts_at": NOW + timedelta(days=400)}, {}, 400, "unknown_coupon"),
    ({"ends_at": NOW - timedelta(days=400)}, {}, 409, "coupon_expired"),
    ({"catalogues": ["others"]}, {}, 400, "coupon_not_for_this"),
    ({"kind": CouponKind.AMOUNT, "amounts": {"XOF": 500}}, {}, 400, "coupon_currency"),
    ({"kind": CouponKind.GIFT}, {}, 400, "coupon_not_for_this"),
    ({"basis_points": 9_900}, {"gateways": ["stripe"]}, 422, "discount_not_payable"),
    ({}, {"coupon": " "}, 400, "validation_error"),
]


@pytest.mark.parametrize(("terms", "body", "status", "code"), REFUSALS)
def test_refusal_says_why_and_moves_nothing(buyer, terms, body, status, code) -> None:
    make_coupon(**terms)
    before = moved()
    for path in ("checkouts", "checkouts/preview"):
        answer = send(path, buyer, **body)
        assert (answer.status_code, answer.json()["code"], moved()) == (status, code, before)


def test_refusal_names_what_would_be_right(buyer) -> None:
    make_coupon(kind=CouponKind.AMOUNT, amounts={"XOF": 500})
    assert send("checkouts", buyer).json()["known_currencies"] == ["XOF"]
    make_coupon(code="ALMOST", basis_points=9_900)
    told = send("checkouts", buyer, coupon="ALMOST", gateways=["stripe"]).json()
    assert (told["amount"], told["nearest_amounts"]) == (10, [50])


def test_second_use_names_the_payment_that_has_it(buyer) -> None:
    make_coupon(limit_per_customer=1)
    first = send("checkouts", buyer).json()["payment"]["id"]
    told = send("checkouts", buyer)
    assert (told.status_code, told.json()["code"], told.json()["payment"]) == (409, "coupon_used_by_you", first)


def test_gift_is_redeemed_once_and_alone(buyer) -> None:
    make_coupon(kind=CouponKind.GIFT, credits=50)
    answer = post("coupons/redeem", customer(buyer), {"code": "welcome10"}, "k-1")
    told = answer.json()
    assert (answer.status_code, told["code"], told["credits"], told["unit"]) == (201, "WELCOME10", 50, "CREDIT")
    again = post("coupons/redeem", customer(buyer), {"code": "welcome10"}, "k-1")
    assert (again.status_code, again.content) == (201, answer.content)
    refused = post("coupons/redeem", customer(buyer), {"code": "welcome10"})
    assert (refused.status_code, refused.json()["code"]) == (409, "coupon_used_by_you")
    assert get("credits/balance", customer(buyer)).json()["available"] == 50


def test_discount_redeemed_alone_is_refused(buyer) -> None:
    make_coupon()
    answer = post("coupons/redeem", customer(buyer), {"code": "WELCOME10"})
    assert (answer.status_code, answer.json()["code"], uses()) == (400, "coupon_needs_purchase", 0)


def test_service_redeems_for_a_customer_with_its_permission_only(buyer) -> None:
    make_coupon(kind=CouponKind.GIFT)
    assert post("coupons/redeem", service(acts_for=buyer), {"code": "WELCOME10"}).status_code == 403
    assert post("coupons/redeem", service("start_checkout", acts_for=buyer), {"code": "WELCOME10"}).status_code == 201
    assert shop.credits_of(buyer) == 50


@pytest.mark.parametrize(
    ("path", "body"),
    [("coupons/redeem", {"code": "GUESS"}), ("checkouts", None), ("checkouts/preview", None), ("subscription", None)],
)
def test_codes_cannot_be_guessed_for_long(buyer, settings, path, body) -> None:
    settings.THROTTLE_COUPON = "2/1d"
    make_plan("premium", {"month": 999})
    thing = {"plan": "premium"} if path == "subscription" else {"pack": "medium"}
    wish = body or thing | {"currency": "EUR", "coupon": "GUESS"}
    codes = [post(path, customer(buyer), wish).json()["code"] for _ in range(3)]
    assert codes == ["unknown_coupon", "unknown_coupon", "throttled"]
    assert Payment.objects.count() == 0
    other = shop.make_user()
    assert post(path, customer(other), wish).json()["code"] == "unknown_coupon"
