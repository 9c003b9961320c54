"""Limits of coupons under rivals in real threads; without the locks the same rivals break them."""

import itertools
from collections import Counter
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from billing import coupons, errors, gifts
from billing.models import Coupon, Payment
from billing.models.coupons import CouponKind
from billing.tests import shop
from billing.tests.couponing import buy, make_coupon, state, uses
from ledger import checks
from ledger.tests.races import PATIENCE_SECONDS, run_all

pytestmark = pytest.mark.django_db(transaction=True)
RIVALS = 6


def outcome(act: Any) -> str:
    try:
        act()
    except errors.BillingError as refusal:
        return type(refusal).__name__
    return "taken"


def race(users: list[User]) -> Counter[str]:
    return Counter(run_all([partial(outcome, partial(buy, user)) for user in users]))


def without_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it had been forgotten: every rival has looked before any of them takes."""
    before, after, looks, refuse = Barrier(RIVALS), Barrier(RIVALS), itertools.count(), coupons.refuse_limits

    def lock(user: User, coupon: Coupon) -> Coupon:
        found = Coupon.objects.get(pk=coupon.pk)
        before.wait(PATIENCE_SECONDS)
        return found

    def refuse_limits(coupon: Coupon, user: User) -> None:
        refuse(coupon, user)
        if next(looks) >= RIVALS:  # the look in the transaction, after that of the preview
            after.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(coupons, "lock", lock)
    monkeypatch.setattr(coupons, "refuse_limits", refuse_limits)


@pytest.fixture
def on_sale(gateways) -> None:
    shop.make_pack()


def test_limit_of_a_coupon_holds_across_customers(on_sale) -> None:
    make_coupon(limit=2)
    assert race([shop.make_user() for _ in range(RIVALS)]) == {"taken": 2, "CouponUsedUp": 4}
    assert (uses(), state(), Payment.objects.count()) == (2, [("reserved", True)] * 2, 2)
    assert checks.faults() == {}


def test_limit_of_a_customer_holds_across_their_windows(on_sale) -> None:
    make_coupon(limit_per_customer=1)
    assert race([shop.make_user()] * RIVALS) == {"taken": 1, "CouponUsedByYou": 5}
    assert (uses(), Payment.objects.count()) == (1, 1)


def test_first_purchase_is_one_across_two_coupons(on_sale) -> None:
    user = shop.make_user()
    for code in ("FIRST1", "FIRST2"):
        make_coupon(code=code, is_first_purchase_only=True)
    acts = [partial(outcome, partial(buy, user, code)) for code in ("FIRST1", "FIRST2") * 3]
    assert Counter(run_all(acts)) == {"taken": 1, "CouponUsedByYou": 5}


def test_gift_is_taken_once_by_each(on_sale) -> None:
    make_coupon(kind=CouponKind.GIFT, credits=50, limit=1)
    users = [shop.make_user() for _ in range(RIVALS)]
    acts = [partial(outcome, partial(gifts.redeem, user=user, code="WELCOME10")) for user in users]
    assert Counter(run_all(acts)) == {"taken": 1, "CouponUsedUp": 5}
    assert (sum(shop.credits_of(user) for user in users), checks.faults()) == (50, {})


def test_canary_without_the_lock_a_customer_uses_it_more_often(on_sale, monkeypatch) -> None:
    make_coupon(limit_per_customer=1)
    without_lock(monkeypatch)
    assert race([shop.make_user()] * RIVALS)["taken"] > 1


def test_canary_without_lock_and_constraint_more_use_it_than_may(on_sale, monkeypatch) -> None:
    make_coupon(limit=2)
    without_lock(monkeypatch)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_coupon DROP CONSTRAINT coupon_used_within_its_limit")
        try:
            assert race([shop.make_user() for _ in range(RIVALS)])["taken"] > 2
        finally:
            cursor.execute("UPDATE billing_coupon SET used = 0")
            cursor.execute(
                "ALTER TABLE billing_coupon ADD CONSTRAINT coupon_used_within_its_limit "
                'CHECK ("limit" IS NULL OR used <= "limit")'
            )
