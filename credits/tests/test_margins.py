from fractions import Fraction

import pytest

from credits import margins
from credits.models import Cost, CostKind
from ledger.money import Money

GENERATION = Cost(
    action="ai.generate", kind=CostKind.FIXED, amount=5, real_cost_micros=40_000, real_cost_currency="EUR"
)
RENDER = Cost(action="3d.render", kind=CostKind.FIXED, amount=8, real_cost_micros=20_000, real_cost_currency="EUR")


@pytest.mark.parametrize(
    ("offer", "price", "bought", "markup"),
    [
        ("A x100", 999, 100, "1149 %"),
        ("C 100", 1900, 100, "2275 %"),
        ("C 500", 7900, 500, "1875 %"),
        ("C 1000", 13900, 1000, "1638 %"),
        ("D Small", 499, 100, "524 %"),
        ("D Medium", 999, 275, "354 %"),
        ("D Large", 1999, 700, "257 %"),
        ("D Mega", 3999, 1800, "178 %"),
        ("D Premium", 999, Fraction(500 * 52, 12), "−42 %"),  # noqa: RUF001 - the true minus sign
    ],
)
def test_markups_that_the_catalogues_hide(offer: str, price: int, bought: int | Fraction, markup: str) -> None:
    found = margins.margin(Money(price, "EUR"), bought, GENERATION)
    assert found is not None
    assert margins.percent(found.markup) == markup


def test_system_c_sells_a_render_at_7500_percent() -> None:
    found = margins.margin(Money(1900, "EUR"), 100, RENDER)
    assert found is not None
    assert (found.revenue, found.real_cost) == (Fraction(152, 100), Fraction(2, 100))
    assert margins.percent(found.markup) == "7500 %"


def test_margin_rate_is_a_share_of_the_revenue_not_of_the_cost() -> None:
    found = margins.margin(Money(1900, "EUR"), 100, GENERATION)
    assert found is not None
    assert found.rate == Fraction(91, 95)
    assert found.markup == Fraction(91, 4)


def test_quantity_multiplies_both_sides_alike() -> None:
    once, thrice = (margins.margin(Money(1900, "EUR"), 100, GENERATION, quantity) for quantity in (1, 3))
    assert once is not None
    assert thrice is not None
    assert (thrice.revenue, thrice.real_cost, thrice.rate) == (once.revenue * 3, once.real_cost * 3, once.rate)


def test_range_is_judged_at_its_minimum() -> None:
    skip = Cost(kind=CostKind.BETWEEN, minimum=10, maximum=50, real_cost_micros=10_000, real_cost_currency="EUR")
    found = margins.margin(Money(499, "EUR"), 100, skip)
    assert found is not None
    assert found.revenue == Fraction(499, 1000)


@pytest.mark.parametrize("cost", [Cost(kind="fixed", amount=5), GENERATION])
def test_no_margin_is_guessed_without_a_real_cost_in_the_currency(cost: Cost) -> None:
    assert margins.margin(Money(6550, "XOF"), 100, cost) is None


def test_free_revenue_and_free_work_have_no_rate() -> None:
    free = Cost(kind=CostKind.FIXED, amount=5, real_cost_micros=0, real_cost_currency="EUR")
    found = margins.margin(Money(0, "EUR"), 100, free)
    assert found is not None
    assert (found.rate, found.markup, margins.percent(found.rate)) == (None, None, "\N{EN DASH}")
