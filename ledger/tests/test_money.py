import operator
from decimal import Decimal
from typing import Any

import pytest
from babel.numbers import list_currencies
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from ledger import money
from ledger.errors import InvalidAmount, UnitMismatch, UnknownUnit
from ledger.money import Money

minors = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("unit", "digits"),
    [
        *[(unit, 0) for unit in ("XOF", "XAF", "GNF", "UGX", "RWF", "JPY", "KRW", "CLP", "CREDIT", "GEMS_2", "A1B")],
        *[(unit, 2) for unit in ("EUR", "USD", "MAD", "TWD", "HUF", "MGA")],
        *[(unit, 3) for unit in ("KWD", "TND", "BHD", "IQD")],
        ("CLF", 4),
    ],
)
def test_decimals_are_those_of_iso_4217(unit: str, digits: int) -> None:
    assert money.exponent(unit) == digits


def test_every_currency_is_one_that_babel_can_show() -> None:
    assert set(money.EXPONENTS) - list_currencies() == set()


@pytest.mark.parametrize(
    "unit", ["EUT", "ABC", "eur", "", "AB", "CREDIT ", "CREDIT\n", "CRÉDIT", "TOO_LONG_NAME", "1AB", None]
)
def test_other_units_are_unknown(unit: str) -> None:
    with pytest.raises(UnknownUnit):
        Money(1, unit)


@pytest.mark.parametrize("minor", [1.0, True, "1", Decimal(1), None])
def test_only_whole_numbers_are_amounts(minor: int) -> None:
    with pytest.raises(InvalidAmount):
        Money(minor, "EUR")


def test_arithmetic_is_exact() -> None:
    assert Money(10**15, "EUR") + Money(1, "EUR") - Money(2, "EUR") == Money(10**15 - 1, "EUR")
    assert -Money(5, "XOF") == Money(-5, "XOF")
    assert money.total([Money(1, "XOF"), Money(2, "XOF")], "XOF") == Money(3, "XOF")
    assert Money(1, "EUR") < Money(2, "EUR") <= Money(2, "EUR")
    assert Money(3, "EUR") > Money(2, "EUR") >= Money(2, "EUR")
    assert not Money(2, "EUR") > Money(2, "EUR")
    assert not Money(2, "EUR") < Money(2, "EUR")
    assert Money(1, "EUR") != Money(1, "USD")


@pytest.mark.parametrize("act", [Money.__add__, Money.__sub__, Money.__lt__, Money.__le__, Money.__gt__, Money.__ge__])
def test_units_do_not_mix(act) -> None:
    with pytest.raises(UnitMismatch):
        act(Money(1, "EUR"), Money(1, "USD"))
    with pytest.raises(TypeError):
        act(Money(1, "EUR"), 1)


@pytest.mark.parametrize(
    ("minor", "basis_points", "expected"),
    [
        (645, 3000, 194),
        (-645, 3000, -194),
        (1, 5000, 1),
        (-1, 5000, -1),
        (1, 4999, 0),
        (999, 0, 0),
        (999, 10_000, 999),
        (100, 20_000, 200),
    ],
)
def test_share_rounds_a_half_away_from_zero(minor: int, basis_points: int, expected: int) -> None:
    assert Money(minor, "EUR").share(basis_points) == Money(expected, "EUR")


@pytest.mark.parametrize("basis_points", [0.5, 100.0, True, "100", None, Decimal(100)])
def test_share_is_of_whole_basis_points_only(basis_points: Any) -> None:
    with pytest.raises(InvalidAmount):
        Money(100, "EUR").share(basis_points)


@given(minors, st.integers(0, 10_000))
def test_the_share_of_a_refund_is_minus_the_share_of_the_sale(minor: int, basis_points: int) -> None:
    assert Money(-minor, "EUR").share(basis_points) == -Money(minor, "EUR").share(basis_points)


@given(minors, st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any))
def test_parts_sum_to_the_whole_and_none_is_off_by_a_unit(minor: int, weights: list[int]) -> None:
    parts = Money(minor, "XOF").split(weights)
    assert sum(part.minor for part in parts) == minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor * sum(weights) - minor * weight) < sum(weights)


def test_equal_parts_give_what_is_left_over_to_the_first() -> None:
    assert [part.minor for part in Money(100, "EUR").parts(3)] == [34, 33, 33]
    assert [part.minor for part in Money(-100, "EUR").parts(3)] == [-34, -33, -33]
    assert [part.minor for part in Money(-1, "EUR").parts(3)] == [-1, 0, 0]


@pytest.mark.parametrize(("weights", "parts"), [([3, 3, 1], [4, 4, 2]), ([1, 3, 3], [2, 4, 4]), ([0, 1], [0, 10])])
def test_what_is_left_over_goes_to_the_largest_remainder(weights: list[int], parts: list[int]) -> None:
    assert [part.minor for part in Money(10, "EUR").split(weights)] == parts


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [1.5], [True]])
def test_impossible_weights_are_refused(weights: list[int]) -> None:
    with pytest.raises(InvalidAmount):
        Money(100, "EUR").split(weights)


@pytest.mark.parametrize(
    ("text", "unit", "minor"),
    [
        ("9.99", "EUR", 999),
        ("9.9", "EUR", 990),
        ("9", "EUR", 900),
        ("0.001", "KWD", 1),
        ("999", "XOF", 999),
        ("0", "XOF", 0),
        ("5", "CREDIT", 5),
    ],
)
def test_parse_reads_decimal_strings(text: str, unit: str, minor: int) -> None:
    assert money.parse(text, unit) == Money(minor, unit)


@pytest.mark.parametrize(
    "text",
    [
        "9.999",
        "9.990",
        "",
        " 9",
        "9 ",
        "9\n",
        "+9",
        "-9",
        ".5",
        "5.",
        "1e3",
        "1_000",
        "1,000",
        "9,99",
        "NaN",
        "inf",
        "0x10",
        "\u0663",
        "\uff19",
        "\u00bd",
        "1" * 17,
        9.99,
        9,
        None,
        True,
    ],
)
def test_parse_refuses_anything_else(text: str) -> None:
    with pytest.raises(InvalidAmount):
        money.parse(text, "EUR")


@pytest.mark.parametrize("text", ["9,99", " 9.99\n", "9.99"])
def test_amount_is_read_as_people_write_it(text: str) -> None:
    assert money.as_written(text, "EUR") == Money(999, "EUR")


@pytest.mark.parametrize("text", ["1,000.50", "1 000", "", "9,999"])
def test_amount_that_could_be_meant_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(InvalidAmount):
        money.as_written(text, "EUR")


def test_parse_refuses_decimals_where_there_are_none() -> None:
    with pytest.raises(InvalidAmount, match="XOF has 0"):
        money.parse("9.0", "XOF")


@pytest.mark.parametrize(
    ("minor", "unit", "text"),
    [
        (999, "EUR", "9.99"),
        (-1, "EUR", "-0.01"),
        (0, "EUR", "0.00"),
        (7, "XOF", "7"),
        (-7, "XOF", "-7"),
        (1, "CLF", "0.0001"),
    ],
)
def test_plain_writes_every_decimal_of_the_unit(minor: int, unit: str, text: str) -> None:
    assert (money.plain(Money(minor, unit)), str(Money(minor, unit))) == (text, f"{text} {unit}")


@given(st.integers(0, 10**15), st.sampled_from(["EUR", "XOF", "KWD", "CLF", "CREDIT"]))
def test_parse_reads_back_what_plain_writes(minor: int, unit: str) -> None:
    assert money.parse(money.plain(Money(minor, unit)), unit) == Money(minor, unit)


@pytest.mark.parametrize(
    ("amount", "locale", "expected"),
    [
        (Money(999, "EUR"), "fr", "9,99\xa0€"),
        (Money(-123456, "EUR"), "en", "-€1,234.56"),
        (Money(1_000_000, "XOF"), "fr", "1\u202f000\u202f000\xa0F\u202fCFA"),
        (Money(1234, "IQD"), "en", "IQD\xa01.234"),
        (Money(999, "EUR"), "en-us", "€9.99"),
        (Money(1500, "CREDIT"), "en", "1,500 CREDIT"),
    ],
)
def test_people_read_amounts_in_their_own_way(amount: Money, locale: str, expected: str) -> None:
    assert money.format_money(amount, locale) == expected


@pytest.mark.parametrize(("language", "expected"), [("en", "€9.99"), ("fr", "9,99\xa0€"), (None, "€9.99")])
def test_money_is_written_in_the_language_of_the_page(language: str | None, expected: str) -> None:
    with translation.override(language):
        assert money.for_reader(Money(999, "EUR")) == expected


@pytest.mark.parametrize("other", [5, 5.0, None, "5.00 EUR"])
def test_money_does_not_go_with_plain_numbers(other: Any) -> None:
    five = Money(5, "EUR")
    for act in (operator.add, operator.sub, operator.lt, operator.ge):
        with pytest.raises(TypeError):
            act(five, other)
