"""A coupon that is stopped, or ends, after it was looked at and before it is taken: taken it is not."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from billing import checkout, coupon_making, coupons, errors, pricing
from billing.checkout import Wishes
from billing.models import Coupon
from billing.pricing import Purchase
from billing.tests import shop
from billing.tests.couponing import make_coupon, moved

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(gateways):
    return shop.make_user()


def looked_at(user) -> Purchase:
    """What the pack costs with the coupon, while that could be used."""
    shop.make_pack()
    purchase = coupons.applied(user=user, code="WELCOME10", purchase=pricing.pack("medium", "EUR", "en"))
    assert purchase.amount.minor == 899
    return purchase


def test_coupon_that_is_stopped_meanwhile_is_not_taken(bob, stripe) -> None:
    coupon = make_coupon()
    purchase, before = looked_at(bob), moved()
    coupon_making.stop(coupon=coupon)
    with pytest.raises(errors.UnknownCoupon):
        checkout.start(user=bob, purchase=purchase, wishes=Wishes())
    assert (moved(), stripe.asked) == (before, [])


@pytest.mark.parametrize(("seconds", "is_taken"), [(-1, True), (0, False), (1, False)])
def test_coupon_is_taken_until_the_instant_at_which_it_ends(bob, stripe, seconds: int, is_taken: bool) -> None:
    ends_at = timezone.now() + timedelta(hours=1)
    make_coupon(ends_at=ends_at)
    purchase, before = looked_at(bob), moved()
    with time_machine.travel(ends_at + timedelta(seconds=seconds), tick=False):
        if is_taken:
            checkout.start(user=bob, purchase=purchase, wishes=Wishes())
        else:
            with pytest.raises(errors.CouponExpired):
                checkout.start(user=bob, purchase=purchase, wishes=Wishes())
    assert Coupon.objects.get().used == is_taken
    if not is_taken:
        assert (moved(), stripe.asked) == (before, [])
