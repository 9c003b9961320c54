"""Buyers with coupons, over HTTP, with the gateways in the sandbox."""

import pytest
from django.utils import timezone

from billing.models import Redemption
from billing.models.coupons import CouponDuration
from billing.tests.couponing import make_coupon
from billing.tests.subscribers import make_plan
from config.tests.journeys.shop import Shop
from config.tests.test_metrics import scrape, value
from credits import calendar
from credits.models import GrantRule
from ledger import checks


@pytest.mark.parametrize(
    ("gateway", "currency", "points", "amount"), [("stripe", "EUR", 1_000, 899), ("cinetpay", "XOF", 1_234, 5_695)]
)
def test_pack_is_bought_for_less(shop: Shop, gateway, currency, points, amount) -> None:
    make_coupon(basis_points=points, credits=40, limit_per_customer=1)
    sample = f'tirelire_coupon_discount_minor_total{{currency="{currency}"}}'
    before = value(scrape(shop.browser), sample)
    begun = shop.checkout(gateway, currency, coupon="welcome10")
    assert begun.status_code == 201, begun.content
    told = begun.json()["payment"]
    shop.play(begun.json())
    shop.hear(gateway)
    assert shop.get(f"payments/{told['id']}")["status"] == "succeeded"
    [theirs] = shop.sandbox.books(gateway)["payments"]
    assert (told["amount"], theirs["amount_minor"], theirs["state"]) == (amount, amount, "paid")
    assert (shop.balance(), Redemption.objects.get().status) == (315, "redeemed")
    assert value(scrape(shop.browser), sample) == before + told["discount"]
    assert shop.checkout(gateway, currency, key="key-2", coupon="welcome10").json()["code"] == "coupon_used_by_you"
    assert checks.faults() == {}


def test_plan_at_stripe_bears_the_coupon_and_its_invoice_the_discount(shop: Shop) -> None:
    GrantRule.objects.create(code="weekly", catalogue="companions", amount=500, every="week", catch_up="all")
    make_plan("premium", {"month": 999}, grant_rules=["weekly"])
    make_coupon(basis_points=2_500, duration=CouponDuration.REPEATING, periods=3)
    wish = {"plan": "premium", "currency": "EUR", "gateways": ["stripe"], "coupon": "WELCOME10"}
    begun = shop.post("subscription", wish, **{"idempotency-key": "begin"})
    assert begun.status_code == 201, begun.content
    shop.play(begun.json())
    shop.hear("stripe")
    calendar.grant_due(at=timezone.now())
    [told] = shop.get("payments")["results"]
    assert (told["status"], told["amount"], told["discount"], told["coupon"]) == ("succeeded", 749, 250, "WELCOME10")
    [coupon] = [each for each in shop.sandbox.requests("stripe") if each["path"].endswith("/v1/coupons")]
    assert coupon["method"] == "POST"
    assert (shop.get("subscription")["status"], shop.balance()) == ("active", 500)
    assert checks.faults() == {}
