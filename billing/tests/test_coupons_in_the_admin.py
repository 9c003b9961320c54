"""Coupons as operators see and make them."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.models import Coupon
from billing.models.coupons import CouponKind
from billing.tests import shop
from billing.tests.couponing import make_coupon, paid
from billing.tests.test_payments_in_the_admin import member, press
from credits.models import Pack
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db) -> User:
    return member("create_coupon", "stop_coupon")


def make(user: User, **fields: Any) -> Any:
    known = {"key": str(uuid.uuid4()), "code": "spring20", "kind": "percent", "percent": "20", "duration": "once"}
    return browser(user).post("/admin/billing/coupon/make/", known | {"unit": "CREDIT"} | fields)


def test_coupon_is_made_with_a_form(operator) -> None:
    shop.make_pack()
    answer = make(operator, percent="12.5", limit="100", limit_per_customer="1", packs="medium", ends_at="2099-12-31")
    assert answer.status_code == 302, answer.content.decode()[:2000]
    coupon = Coupon.objects.get()
    assert (coupon.code, coupon.basis_points, coupon.limit, coupon.packs) == ("SPRING20", 1_250, 100, ["medium"])
    assert (coupon.limit_per_customer, coupon.created_by) == (1, operator)
    assert coupon.ends_at is not None
    assert coupon.ends_at.year == 2099


def test_amounts_are_written_as_people_write_them(operator) -> None:
    make(operator, kind="amount", percent="", amounts="5,50 eur; 3250 XOF")
    amounts = Coupon.objects.get().amounts.values_list("currency", "amount_minor")
    assert list(amounts) == [("EUR", 550), ("XOF", 3_250)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"percent": ""}, "A share off has a share"),
        ({"percent": "101"}, "less than or equal to 100"),
        ({"kind": "amount", "percent": "", "amounts": "five"}, "write for example 5 EUR"),
        ({"kind": "amount", "percent": "", "amounts": "5 EUR; 5.555 EUR"}, "5.555"),
        ({"kind": "amount", "percent": "", "amounts": "5 XXQ"}, "XXQ"),
        ({"kind": "amount", "percent": "", "amounts": "5 EUR; 0 XOF"}, "XOF: write an amount above zero."),
        ({"kind": "gift", "percent": "", "credits": "5"}, "need a limit for each customer"),
        ({"plans": "nothing"}, "There is no pack or plan nothing"),
    ],
)
def test_form_says_what_is_wrong_and_makes_nothing(operator, fields, sentence) -> None:
    answer = make(operator, **fields)
    assert (answer.status_code, sentence in answer.content.decode(), Coupon.objects.count()) == (200, True, 0)


def test_page_shows_uses_discount_and_revenue(operator, stripe) -> None:
    coupon = make_coupon(limit=10)
    paid(stripe, shop.make_user())
    paid(stripe, shop.make_user())
    shown = browser(operator).get(page("billing_coupon_change", coupon.pk)).content.decode()
    for text in ("2 / 10", "€17.98", "€2.00", "10 %", "valid"):
        assert text in shown, text
    listed = browser(operator).get(page("billing_redemption_changelist"), {"q": "WELCOME10"}).content.decode()
    assert listed.count("WELCOME10") >= 2
    use = browser(operator).get(page("billing_redemption_change", coupon.redemptions.latest("id").pk)).content.decode()
    assert "€8.99 (-€1.00), paid" in use


def test_list_shows_every_state(operator) -> None:
    make_coupon(code="AAA10")
    make_coupon(code="BBB", kind=CouponKind.GIFT, credits=5)
    Coupon.objects.filter(code="BBB").update(limit=1, used=1)
    shown = browser(operator).get(page("billing_coupon_changelist")).content.decode()
    assert "used up" in shown
    assert "5 CREDIT" in shown


BEFORE, AFTER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "valid"),
        ({"starts_at": BEFORE, "ends_at": AFTER, "limit": 2, "used": 1}, "valid"),
        ({"limit": 1, "used": 1}, "used up"),
        ({"starts_at": AFTER, "limit": 1, "used": 1}, "begins later"),
        ({"ends_at": BEFORE, "limit": 1, "used": 1}, "over"),
        ({"ends_at": BEFORE, "stopped_at": BEFORE}, "stopped"),
    ],
)
def test_coupon_says_why_nobody_can_use_it(operator, facts, state) -> None:
    coupon = make_coupon()
    Coupon.objects.update(**facts)
    shown = browser(operator).get(page("billing_coupon_change", coupon.pk)).content.decode()
    states = ("valid", "used up", "begins later", "over", "stopped")
    assert [each for each in states if re.search(rf">\s*{each}\s*<", shown)] == [state]


def test_coupon_is_stopped_by_a_button(operator) -> None:
    coupon = make_coupon()
    assert press(operator, "billing_coupon_stop", coupon).status_code == 302
    coupon.refresh_from_db()
    assert (coupon.stopped_at is not None, coupon.stopped_by) == (True, operator)


def test_without_the_permissions_nothing_is_made_or_stopped(db) -> None:
    coupon, reader = make_coupon(), member()
    assert make(reader).status_code == 403
    assert press(reader, "billing_coupon_stop", coupon).status_code == 403
    coupon.refresh_from_db()
    assert (Coupon.objects.count(), coupon.stopped_at) == (1, None)
    assert not Pack.objects.exists()
