"""Coupons of catalogue files reach the rows once; what left the file is stopped, and mistakes have their line."""

from datetime import UTC, datetime
from typing import Any

import pytest

from billing import coupons, pricing
from billing.models import Coupon, Redemption
from billing.tests import shop as counter
from billing.tests.couponing import make_coupon
from config import seeding
from credits import catalogue_files
from credits.errors import CatalogueMistake

SHOP = """
catalogue: shop
title: {en: Shop}
packs:
  medium:
    name: {en: Medium}
    credits: 250
    prices: {EUR: 9.99, XOF: 6500}
coupons:
  WELCOME10:
    name: {en: Welcome, fr: Bienvenue}
    basis_points: 1000
    limit: 100
    limit_per_customer: 1
    first_purchase_only: true
    ends_on: 2099-12-31
  FIVE-OFF:
    amounts: {EUR: 5, XOF: 3250}
    packs: [medium]
    duration: repeating
    periods: 3
  GIFT50:
    credits: 50
    gift: true
    limit_per_customer: 1
"""


def used() -> Redemption:
    """Somebody has begun to buy with WELCOME10."""
    user = counter.make_user()
    purchase = coupons.applied(user=user, code="WELCOME10", purchase=pricing.pack("medium", "EUR", "en"))
    assert purchase.reduction is not None
    return coupons.reserve(user=user, reduction=purchase.reduction)


def seed(**how: Any) -> list[str]:
    [catalogue] = seeding.checked([catalogue_files.named("shop")])
    return [str(change) for change in seeding.seed(catalogue, **how) if "coupon" in str(change)]


def test_coupons_are_made_and_a_second_run_finds_nothing(write) -> None:
    assert seed() == [
        "+ coupon WELCOME10: 10 %",
        "+ coupon FIVE-OFF: 500 EUR, 3250 XOF",
        "+ coupon GIFT50: 50 CREDIT",
    ]
    assert seed() == []
    welcome, five = Coupon.objects.get(code="WELCOME10"), Coupon.objects.get(code="FIVE-OFF")
    assert (welcome.catalogues, welcome.ends_at) == (["shop"], datetime(2100, 1, 1, tzinfo=UTC))
    assert (five.kind, five.packs, five.catalogues, five.periods) == ("amount", ["medium"], [], 3)


def test_change_in_the_file_is_for_later_uses(write) -> None:
    seed()
    first = used()
    write(SHOP.replace("basis_points: 1000", "basis_points: 2000").replace("{EUR: 5, XOF: 3250}", "{EUR: 4}"))
    assert seed() == ["~ coupon WELCOME10: basis_points", "~ coupon FIVE-OFF: amounts"]
    assert (first.terms["basis_points"], used().terms["basis_points"]) == (1_000, 2_000)


def test_limit_below_its_uses_leaves_it_used_up(write) -> None:
    seed()
    for _ in range(2):
        used()
    write(SHOP.replace("limit: 100", "limit: 1"))
    assert seed() == ["~ coupon WELCOME10: limit"]
    assert (Coupon.objects.get(code="WELCOME10").limit, seed()) == (2, [])


def test_coupon_that_left_the_file_is_stopped_when_pruned(write) -> None:
    seed()
    write(SHOP[: SHOP.index("  GIFT50")])
    assert seed(prune=False) == []
    assert seed() == ["- coupon GIFT50: stopped; subscriptions keep it"]
    assert (Coupon.objects.get(code="GIFT50").stopped_at is not None, seed()) == (True, [])


def test_stopped_coupon_does_not_begin_again_when_it_comes_back(write) -> None:
    seed()
    write(SHOP[: SHOP.index("  GIFT50")])
    seed()
    write(SHOP.replace("credits: 50", "credits: 60"))
    assert seed() == []
    gift = Coupon.objects.get(code="GIFT50")
    assert (gift.stopped_at is not None, gift.credits) == (True, 50)


def test_code_of_an_operator_is_not_taken_over(write) -> None:
    make_coupon(code="GIFT50")
    with pytest.raises(CatalogueMistake) as refused:
        seed()
    assert "the coupon 'GIFT50' belongs to 'operators'" in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "mistake"),
    [
        ("  WELCOME10:", "  welcome10:", "is not a good name here"),
        ("basis_points: 1000", "basis_points: 10001", "does not fit"),
        ("basis_points: 1000", "credits: 0", "is worth nothing"),
        ("basis_points: 1000", "basis_points: 1000\n    amounts: {EUR: 1}", "contradicts basis_points"),
        ("XOF: 3250}", "XOF: 3252}", "could not be paid everywhere; write for example 3255"),
        ("periods: 3", "limit: 3", "goes with `duration: repeating`"),
        ("packs: [medium]", "packs: [large]", "does not stand in this file; there are: medium"),
        ("2099-12-31", "soon", "is no day"),
        ("gift: true\n    limit_per_customer: 1", "gift: true", "credits for nothing need it"),
        ("gift: true", "gift: true\n    packs: [medium]", "goes with no purchase"),
        ("gift: true", "gift: true\n    amounts: {EUR: 1}", "gift: is redeemed alone and brings credits only"),
        ("gift: true", "gift: true\n    basis_points: 500", "gift: is redeemed alone and brings credits only"),
        ("    credits: 50\n    gift: true", "    amounts: {EUR: 1}\n    gift: true", "gift: is redeemed alone"),
        (
            "credits: 50\n    gift: true",
            "credits: 50\n    duration: forever",
            "duration: is about a discount, and there is",
        ),
        ("2099-12-31", "2099-12-31\n    starts_on: 2100-01-01", "ends_on: is before starts_on; write 2100-01-01 or"),
        ("{EUR: 5,", "{EURO: 5,", "coupons.FIVE-OFF.amounts.EURO: is no currency of ISO 4217"),
        ("limit: 100", "colour: red", "is not known"),
    ],
)
def test_mistake_in_the_file_is_told_with_its_line_and_makes_nothing(write, before, after, mistake) -> None:
    write(SHOP.replace(before, after, 1))
    with pytest.raises(CatalogueMistake, match=r"shop\.yaml:") as refused:
        seed()
    assert mistake in str(refused.value)
    assert Coupon.objects.count() == 0
