"""Our products, prices and coupons at Stripe: what is there as wanted stays, and what differs is changed or refused."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import CouponRequest, Interval, PriceRequest, PriceResult, ProductRequest
from billing.tests.stripe.conftest import Double
from ledger.money import Money

MISSING = {"type": "invalid_request_error", "code": "resource_missing", "message": "No such thing"}
PRICE = PriceRequest(lookup_key="pro", product="prod_pro", amount=Money(900, "EUR"), interval=Interval.MONTH)


def test_a_product_that_is_as_wanted_stays(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("GET", "products/prod_pro")] = double.make(
        "product", id="prod_pro", name="Pro", active=True, metadata={}
    )
    gateway.put_product(ProductRequest(id="prod_pro", name="Pro"))
    assert [call.method for call in recorded.calls] == ["GET"]


def test_a_product_is_changed_where_it_differs(gateway: Stripe, double: Double, recorded: Any) -> None:
    product = double.make("product", id="prod_pro", name="Pro", active=False, metadata={})
    double.answers |= {("GET", "products/prod_pro"): product, ("POST", "products/prod_pro"): product}
    gateway.put_product(ProductRequest(id="prod_pro", name="Pro"))
    assert recorded.calls[-1].params == {"active": "true"}


def price(double: Double, **values: Any) -> dict[str, Any]:
    usual = {
        "id": "price_1",
        "product": "prod_pro",
        "currency": "eur",
        "unit_amount": 900,
        "active": True,
        "tax_behavior": "unspecified",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    }
    return double.make("price", **usual | values)


def test_a_price_that_is_as_wanted_stays(gateway: Stripe, double: Double, recorded: Any) -> None:
    double.answers[("GET", "prices")] = double.page(price(double))
    assert gateway.put_price(PRICE) == PriceResult(id="price_1", amount=Money(900, "EUR"))
    assert [call.method for call in recorded.calls] == ["GET"]


@pytest.mark.parametrize(
    "values",
    [
        {"unit_amount": 800},
        {"product": "prod_old"},
        {"recurring": {"interval": "year", "interval_count": 1, "usage_type": "licensed"}},
        {"recurring": None},
    ],
)
def test_another_price_takes_over_the_key(
    gateway: Stripe, double: Double, recorded: Any, values: dict[str, Any]
) -> None:
    old = price(double, **values)
    double.answers |= {
        ("GET", "prices"): double.page(old),
        ("POST", "prices"): price(double, id="price_2"),
        ("POST", "prices/price_1"): {**old, "active": False},
    }
    assert gateway.put_price(PRICE).id == "price_2"
    assert (recorded.calls[1].params["lookup_key"], recorded.calls[1].params["transfer_lookup_key"]) == ("pro", "true")
    assert recorded.calls[2].params == {"active": "false"}


def test_price_that_contains_no_tax_takes_over_from_one_that_does(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    old = price(double, tax_behavior="inclusive")
    double.answers |= {
        ("GET", "prices"): double.page(old),
        ("POST", "prices"): price(double, id="price_2", tax_behavior="exclusive"),
        ("POST", "prices/price_1"): {**old, "active": False},
    }
    assert gateway.put_price(replace(PRICE, tax_behavior="exclusive")).id == "price_2"
    assert (recorded.calls[2].path, recorded.calls[2].params) == ("/v1/prices/price_1", {"active": "false"})


def test_price_that_says_nothing_of_tax_learns_it_and_keeps_its_id(
    gateway: Stripe, double: Double, recorded: Any
) -> None:
    old = price(double)
    double.answers |= {
        ("GET", "prices"): double.page(old),
        ("POST", "prices/price_1"): {**old, "tax_behavior": "exclusive"},
    }
    assert gateway.put_price(replace(PRICE, tax_behavior="exclusive")).id == "price_1"
    assert recorded.calls[1].params == {"tax_behavior": "exclusive"}


def test_another_discount_under_a_known_id_is_refused(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "coupons/WELCOME")] = double.make("coupon", id="WELCOME", percent_off=10.0, duration="once")
    with pytest.raises(Declined) as caught:
        gateway.put_coupon(CouponRequest(id="WELCOME", percent_off=20))
    assert caught.value.category is FailureCategory.DUPLICATE
    gateway.put_coupon(CouponRequest(id="WELCOME", percent_off=10))


def test_as_much_off_in_another_currency_is_another_discount(gateway: Stripe, double: Double) -> None:
    known = double.make("coupon", id="FIVE", amount_off=500, currency="usd", percent_off=None, duration="once")
    double.answers[("GET", "coupons/FIVE")] = known
    with pytest.raises(Declined, match="another coupon"):
        gateway.put_coupon(CouponRequest(id="FIVE", amount_off=Money(500, "EUR")))
    gateway.put_coupon(CouponRequest(id="FIVE", amount_off=Money(500, "USD")))


@pytest.mark.parametrize("values", [{}, {"percent_off": 10, "amount_off": Money(100, "EUR")}])
def test_a_coupon_takes_off_one_thing(gateway: Stripe, double: Double, values: dict[str, Any]) -> None:
    double.answers[("GET", "coupons/ODD")] = double.error(404, **MISSING)
    with pytest.raises(Declined):
        gateway.put_coupon(CouponRequest(id="ODD", **values))


RIVAL = {"type": "invalid_request_error", "code": "resource_already_exists", "message": "Coupon already exists."}


@pytest.mark.parametrize(("percent", "refused"), [(20, False), (10, True)])
def test_coupon_that_a_rival_made_meanwhile_is_ours_where_it_takes_off_the_same(
    gateway: Stripe, double: Double, recorded: Any, percent: int, refused: bool
) -> None:
    theirs = double.make("coupon", id="WELCOME", percent_off=float(percent), duration="once")
    answers = iter([double.error(404, **MISSING), theirs])
    double.answers |= {
        ("GET", "coupons/WELCOME"): lambda *_: next(answers),
        ("POST", "coupons"): double.error(400, **RIVAL),
    }
    with pytest.raises(Declined, match="another coupon") if refused else nullcontext():
        gateway.put_coupon(CouponRequest(id="WELCOME", percent_off=20))
    assert [call.method for call in recorded.calls] == ["GET", "POST", "GET"]


@pytest.mark.parametrize(("question", "calls"), [({"code": "url_invalid"}, 1), (MISSING, 2)])
def test_coupon_that_stripe_refuses_to_show_or_to_make_is_not_there(
    gateway: Stripe, double: Double, recorded: Any, question: dict[str, Any], calls: int
) -> None:
    no = {"type": "invalid_request_error", "message": "No."}
    double.answers |= {
        ("GET", "coupons/WELCOME"): double.error(404, **{**no, **question}),
        ("POST", "coupons"): double.error(400, **no, code="url_invalid"),
    }
    with pytest.raises(Declined) as refused:
        gateway.put_coupon(CouponRequest(id="WELCOME", percent_off=20))
    assert (refused.value.code, len(recorded.calls)) == ("url_invalid", calls)
