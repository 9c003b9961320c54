"""Amounts are written as each gateway wants them, read in all their ways of writing, and never rounded."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.gateways import amounts
from billing.gateways.base import AmountRule
from billing.gateways.errors import AmountRefused, FailureCategory
from billing.tests.gateways.contenders import CONTENDERS, LIMITS
from credits import payable
from ledger.money import Money
from sandbox.testing import Sandbox

FIVES = AmountRule(minimum_minor=100, maximum_minor=2_000, step_minor=5)
CENTS = AmountRule()
WHOLE = AmountRule(wire_exponent=0)


@pytest.mark.parametrize(
    ("amount", "rule", "reason", "nearest"),
    [
        (Money(999, "XOF"), FIVES, "toy takes multiples of 5 XOF, not 999 XOF.", [995, 1_000]),
        (Money(3, "XOF"), FIVES, "toy takes at least 100 XOF, not 3 XOF.", [100]),
        (Money(2_001, "XOF"), FIVES, "toy takes at most 2000 XOF, not 2001 XOF.", [2_000]),
        (Money(-5, "XOF"), FIVES, "toy takes at least 100 XOF, not -5 XOF.", [100]),
        (Money(1_050, "HUF"), WHOLE, "toy takes multiples of 1.00 HUF, not 10.50 HUF.", [1_000, 1_100]),
        (Money(0, "EUR"), CENTS, "toy takes at least 0.01 EUR, not 0.00 EUR.", [1]),
    ],
)
def test_illegal_amount_is_told_its_rule_and_its_legal_neighbours(amount, rule, reason, nearest) -> None:
    with pytest.raises(AmountRefused) as refused:
        amounts.require(amount, {amount.unit: rule}, gateway="toy")
    assert refused.value.reason == reason
    assert [each.minor for each in refused.value.nearest] == nearest
    assert refused.value.category is FailureCategory.INVALID_REQUEST


def test_currency_that_a_gateway_does_not_take_has_no_neighbours() -> None:
    with pytest.raises(AmountRefused, match=r"toy takes no XAF\.") as refused:
        amounts.require(Money(500, "XAF"), {"XOF": FIVES}, gateway="toy")
    assert refused.value.nearest == ()
    assert refused.value.category is FailureCategory.NOT_SUPPORTED


@given(minor=st.integers(-10, 3_000))
def test_neighbours_are_legal_and_close(minor: int) -> None:
    amount = Money(minor, "XOF")
    found = amounts.nearest(amount, FIVES)
    assert found
    assert all(amounts.broken_rule(each, FIVES) == "" for each in found)
    if amounts.broken_rule(amount, FIVES) == "":
        assert found == [amount]


@pytest.mark.parametrize(
    ("amount", "rule", "text"),
    [
        (Money(1_050, "EUR"), CENTS, "10.50"),
        (Money(5, "EUR"), CENTS, "0.05"),
        (Money(5_000, "XOF"), CENTS, "5000"),
        (Money(1_000, "HUF"), WHOLE, "10"),
        (Money(500_000, "CDF"), WHOLE, "5000"),
        (Money(1_000, "JPY"), CENTS, "1000"),
        (Money(500, "UGX"), AmountRule(wire_exponent=2), "500.00"),
    ],
)
def test_amount_is_written_with_the_decimals_of_the_wire(amount: Money, rule: AmountRule, text: str) -> None:
    assert amounts.to_text(amount, rule) == text


def test_amount_that_the_wire_cannot_hold_is_never_rounded() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        amounts.to_text(Money(1_050, "HUF"), WHOLE)
    with pytest.raises(ValueError, match="has decimals"):
        amounts.to_whole(Money(1_050, "EUR"), CENTS)


@pytest.mark.parametrize(
    ("value", "unit", "minor"),
    [("5000", "XOF", 5_000), ("5000.0", "XOF", 5_000), (5_000, "XOF", 5_000), (Decimal("10.5"), "EUR", 1_050),
     ("10.50", "EUR", 1_050), ("-1", "EUR", -100), ("1e2", "XOF", 100)],
)  # fmt: skip
def test_amount_is_read_however_it_was_written(value: object, unit: str, minor: int) -> None:
    assert amounts.read(value, unit) == Money(minor, unit)


@pytest.mark.parametrize(
    ("value", "unit"),
    [("10.505", "EUR"), ("0.5", "XOF"), ("", "EUR"), ("NaN", "EUR"), ("Infinity", "EUR"), (True, "EUR"), (None, "EUR"),
     (10.5, "EUR"), ("1", None), ("1e30", "EUR"), ("1e999999999", "EUR")],
)  # fmt: skip
def test_what_is_no_amount_is_not_read(value: object, unit: object) -> None:
    with pytest.raises(amounts.Unreadable):
        amounts.read(value, unit)


@given(minor=st.integers(0, 10**12), unit=st.sampled_from(["EUR", "XOF", "KWD", "JPY"]))
def test_what_is_written_is_read_again(minor: int, unit: str) -> None:
    assert amounts.read(amounts.to_text(Money(minor, unit), CENTS), unit) == Money(minor, unit)


@pytest.mark.parametrize("contender", CONTENDERS, ids=str)
def test_catalogue_knows_the_same_limits_as_the_gateway(contender, sandbox: Sandbox) -> None:
    """`credits.payable` judges prices before there is a gateway to ask."""
    known = payable.LIMITS.get(contender.gateway, {})
    for unit, rule in contender.make(sandbox, LIMITS).capabilities.currencies.items():
        if unit in known:
            limit = known[unit]
            assert limit.step == amounts.step(rule, unit), unit
            assert limit.minimum <= rule.minimum_minor, unit
