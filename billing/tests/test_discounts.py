"""What a coupon takes off: exact figures, and for every price and coupon parts that sum to the price."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as some

from billing import discounts
from billing.discounts import Terms
from ledger.money import Money


def percent(points: int) -> Terms:
    return Terms(code="X", kind="percent", basis_points=points)


def amount(**amounts: int) -> Terms:
    return Terms(code="X", kind="amount", amounts=amounts)


@pytest.mark.parametrize(
    ("price", "terms", "step", "expected"),
    [
        (Money(999, "EUR"), percent(1_000), 1, 100),
        (Money(999, "EUR"), percent(5_000), 1, 500),
        (Money(1, "EUR"), percent(9_900), 1, 0),
        (Money(999, "EUR"), percent(10_000), 1, 999),
        (Money(999, "EUR"), amount(EUR=500), 1, 500),
        (Money(999, "EUR"), amount(EUR=1_000), 1, 999),
        (Money(999, "EUR"), amount(USD=500), 1, 0),
        # 6 500 francs less 33 % are 4 355; less 12.34 % are 5 698, of which 5 695 can be paid.
        (Money(6_500, "XOF"), percent(3_300), 5, 2_145),
        (Money(6_500, "XOF"), percent(1_234), 5, 805),
        (Money(6_500, "XOF"), amount(XOF=6_499), 5, 6_495),
        (Money(6_500, "XOF"), amount(XOF=6_500), 5, 6_500),
        (Money(6_500, "XOF"), Terms(code="X", kind="credits", credits=5), 5, 0),
    ],
)
def test_discount_is_exact_and_leaves_what_can_be_paid(price: Money, terms: Terms, step: int, expected: int) -> None:
    assert discounts.off(price, terms, step) == Money(expected, price.unit)


prices = some.integers(1, 10**9)
points = some.integers(1, 10_000)
steps = some.sampled_from([1, 5, 10, 100, 500])


@bounds(max_examples=100)
@given(prices, some.one_of(points.map(percent), prices.map(lambda minor: amount(XOF=minor))), steps)
def test_parts_sum_to_the_price_and_nothing_is_below_zero(minor: int, terms: Terms, step: int) -> None:
    price = Money(minor * step, "XOF")
    off = discounts.off(price, terms, step)
    left = price - off
    assert 0 <= off.minor <= price.minor
    assert off + left == price
    assert left.minor % step == 0


@bounds(max_examples=100)
@given(prices, points, steps)
def test_buyer_never_pays_a_step_more_or_less_than_promised(minor: int, share: int, step: int) -> None:
    price = Money(minor * step, "XOF")
    left = (price - discounts.off(price, percent(share), step)).minor
    exact = (price - price.share(share)).minor
    assert exact - step < left <= max(exact, step)
    assert (left == 0) == (share == 10_000)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"duration": "once"}, 1),
        ({"duration": "repeating", "periods": 3}, 3),
        ({"duration": "forever"}, None),
    ],
)
def test_duration_says_how_many_payments_are_covered(terms: dict[str, Any], expected: int | None) -> None:
    assert Terms(code="X", kind="percent", **terms).payments == expected
