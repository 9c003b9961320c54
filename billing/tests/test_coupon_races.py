"""Limits of coupons under rivals in real threads; without the locks the same rivals break them."""

import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from billing import asking, checkout, coupons, errors, gifts, payments, pricing, redemptions, refund_sending, refunds
from billing.checkout import Wishes
from billing.gateways.base import PaymentState
from billing.models import Coupon, Payment, Refund
from billing.models.coupons import CouponKind
from billing.tests import shop
from billing.tests.couponing import buy, make_coupon, state, uses
from credits.tests import gates
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

    def lock(user: User, coupon: Coupon, *, gives: str = "") -> Coupon:
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


# ---------------------------------------------------------------- a coupon from two sides: one order of locks


def with_coupon(user: User, pack: str, **wishes: Any) -> Payment:
    purchase = coupons.applied(user=user, code="WELCOME10", purchase=pricing.pack(pack, "EUR", "en"))
    return checkout.start(user=user, purchase=purchase, wishes=Wishes(**wishes))


@pytest.fixture
def dear_pack(on_sale, stripe) -> User:
    """Nothing is left to pay of Pack Medium with the coupon, and of Pack Large ten euros are."""
    shop.make_price(shop.MediumFactory.create(code="large", name_en="Pack Large"), "EUR", 1_999)
    make_coupon(kind=CouponKind.AMOUNT, amounts={"EUR": 999}, limit=5, returns_after_refund=True)
    return shop.make_user()


def meet_between_their_locks(monkeypatch: pytest.MonkeyPatch, **places: Any) -> None:
    """Each waits where it has taken the first of its locks and not the last one, until its rival waits as well."""
    for function, module in places.items():
        usual = getattr(module, function)

        def gated(*said: Any, usual: Any = usual, **more: Any) -> Any:
            gates.wait_at_the_gate()
            return usual(*said, **more)

        monkeypatch.setattr(module, function, gated)


def test_full_refund_and_free_checkout_of_one_coupon_do_not_wait_for_each_other_in_vain(
    dear_pack, stripe, monkeypatch
) -> None:
    payment = with_coupon(dear_pack, "large", gateways=["stripe"])
    stripe.pays(payment.attempts.get().reference)
    refunds.request(payment=shop.told(payment), reason="not wanted")
    meet_between_their_locks(monkeypatch, give=payments, refunded=redemptions)
    acts: list[Callable[[], Any]] = [refund_sending.work_through, lambda: with_coupon(dear_pack, "medium").status]
    assert gates.run_through_the_gate(acts) == [1, "succeeded"]
    assert Refund.objects.get().status == "succeeded"
    assert (uses(), sorted(state())) == (1, [("redeemed", True), ("returned", False)])
    assert (shop.credits_of(dear_pack), checks.faults()) == (275, {})


def test_late_payment_and_free_checkout_of_one_coupon_do_not_wait_for_each_other_in_vain(
    dear_pack, stripe, monkeypatch
) -> None:
    late = with_coupon(dear_pack, "large", gateways=["stripe"])
    stripe.becomes(PaymentState.FAILED)
    attempt = shop.told(late).attempts.select_related("payment").get()
    stripe.pays()
    meet_between_their_locks(monkeypatch, give=payments, paid=redemptions)
    acts: list[Callable[[], Any]] = [
        lambda: asking.ask(attempt).status,
        lambda: with_coupon(dear_pack, "medium").status,
    ]
    assert gates.run_through_the_gate(acts) == ["succeeded"] * 2
    assert (uses(), state()) == (2, [("redeemed", True)] * 2)
    assert (shop.credits_of(dear_pack), checks.faults()) == (550, {})
