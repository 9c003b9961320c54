from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credits import catalogue_files, cheapest_paths
from credits.cheapest_paths import Choice
from credits.tests.test_audit import shop

PACK = "packs:\n  big:\n    name: {en: Big}\n    credits: 100\n    prices: {EUR: 10}\n"
PLANS = """\
grant_rules:
  basic: {amount: 30, every: month}
  better: {amount: 70, every: month}
plans:
  basic: {name: {en: Basic}, grants: [basic], prices: {month: {EUR: 2}}}
  better: {name: {en: Better}, grants: [better], prices: {month: {EUR: 4}}}
"""


# ---------------------------------------------------------------- combinations


@settings(max_examples=200)
@given(
    sold=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30)), min_size=1, max_size=3),
    needed=st.integers(1, 30),
    budget=st.integers(1, 90),
)
def test_combination_agrees_with_trying_everything(sold: list[tuple[int, int]], needed: int, budget: int) -> None:
    tried = []
    for counts in product(*(range(-(-needed // credits_) + 1) for credits_, _ in sold)):
        got = sum(count * each[0] for count, each in zip(counts, sold, strict=True))
        price = sum(count * each[1] for count, each in zip(counts, sold, strict=True))
        if got >= needed and price <= budget:
            tried.append((price, -got))
    choices = [Choice(code=str(n), credits=c, price_minor=p) for n, (c, p) in enumerate(sold)]
    found = cheapest_paths.cheapest_combination(choices, needed, budget)
    # Fewer credits than could be had for the same price are a matter of taste; the price and the need are not.
    assert (found and found.price_minor) == (min(tried)[0] if tried else None)
    if found:
        assert needed <= found.credits == sum(sold[int(code)][0] * n for code, n in found.counts.items())
        assert found.price_minor == sum(sold[int(code)][1] * n for code, n in found.counts.items())


def test_search_ends_when_there_are_more_combinations_than_anyone_can_try() -> None:
    choices = [Choice(code=str(n), credits=2 * n + 1, price_minor=2 * n + 1) for n in range(20)]
    found = cheapest_paths.cheapest_combination(choices, 10**9, 10**9)
    assert found is None or found.credits >= 10**9


# ---------------------------------------------------------------- paths


def cheapest(text: str) -> tuple[str, Fraction] | None:
    found = cheapest_paths.cheapest_path(shop(text), "EUR")
    return (", ".join(found.acts), found.price_of_a_credit) if found else None


def test_premium_is_subscribed_to_and_waited_for() -> None:
    path = cheapest_paths.cheapest_path(catalogue_files.named("companion-tokens"), "EUR")
    assert path is not None
    assert path.acts == ("subscribe to premium by the month", "wait a month")
    assert (path.paid_minor, path.credits) == (Fraction(999), Fraction(500 * 52, 12))


def test_pack_alone_is_the_path_where_plans_give_nothing() -> None:
    assert cheapest(PACK) == ("buy big", Fraction(10))


def test_nothing_to_buy_is_no_path() -> None:
    assert cheapest("") is None


def test_first_grant_of_both_plans_is_had_by_upgrading_at_once() -> None:
    # 30 + 70 credits for the dearer price alone; the dearer plan by itself asks 400 / 70 for each.
    assert cheapest(PACK + PLANS) == ("subscribe to basic by the month, upgrade to better", Fraction(4))


@pytest.mark.parametrize(
    ("policy", "acts"),
    [
        ("none", "subscribe to basic by the month, upgrade to better"),
        ("unspent", "subscribe to basic by the month, upgrade to better"),
    ],
)
def test_refund_that_brings_nothing_back_is_not_in_the_path(policy: str, acts: str) -> None:
    assert cheapest(f"refunds: {policy}\n" + PACK + PLANS) == (acts, Fraction(4))


@pytest.mark.parametrize("policy", ["proportional", "full"])
def test_refund_at_once_makes_the_first_grant_free(policy: str) -> None:
    assert cheapest(f"refunds: {policy}\n" + PLANS) in (
        ("subscribe to basic by the month, refund", Fraction(0)),
        ("subscribe to better by the month, refund", Fraction(0)),
    )


def test_full_refund_makes_a_pack_free_and_a_proportional_one_does_not() -> None:
    assert cheapest("refunds: full\n" + PACK) == ("buy big, refund", Fraction(0))
    assert cheapest("refunds: proportional\n" + PACK) == ("buy big", Fraction(10))


def test_nobody_is_paid_back_more_than_was_paid() -> None:
    search = cheapest_paths._Paths(shop("refunds: full\n" + PACK + PLANS), "EUR")
    paths = list(search.all())
    assert len(paths) > 100
    assert all(path.paid_minor >= 0 and path.credits > 0 for path in paths)


def test_yearly_plan_gives_twelve_months_of_grants() -> None:
    text = PLANS.replace("{month: {EUR: 2}}", "{year: {EUR: 20}}").split("  better: {name")[0]
    assert cheapest(text) == ("subscribe to basic by the year, wait a year", Fraction(2000, 360))
