import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits import payable
from ledger.money import Money


@pytest.mark.parametrize(
    ("amount", "reason", "nearest"),
    [
        (Money(999, "XOF"), "cinetpay takes multiples of 5 XOF", ["995 XOF", "1000 XOF"]),
        (Money(95, "XAF"), "cinetpay takes at least 100 XAF", ["100 XAF"]),
        (Money(49, "EUR"), "stripe takes at least 0.50 EUR", ["0.50 EUR"]),
        (Money(1234, "KWD"), "stripe takes multiples of 0.010 KWD", ["1.230 KWD", "1.240 KWD"]),
        (Money(20_050, "HUF"), "paypal takes multiples of 1.00 HUF", ["200.00 HUF", "201.00 HUF"]),
        (Money(100_000_001, "EUR"), "stripe takes at most 999999.99 EUR", ["999999.99 EUR"]),
    ],
)
def test_what_a_gateway_cannot_take_is_refused_with_the_nearest(amount: Money, reason: str, nearest: list[str]) -> None:
    assert payable.refusals(amount) == [reason]
    assert [str(each) for each in payable.nearest(amount)] == nearest


@pytest.mark.parametrize("amount", [Money(1000, "XOF"), Money(50, "EUR"), Money(1000, "JPY"), Money(1230, "KWD")])
def test_legal_amounts_pass(amount: Money) -> None:
    assert payable.refusals(amount) == []
    assert payable.nearest(amount) == [amount]


@given(minor=st.integers(1, 10**10), currency=st.sampled_from(sorted({c for t in payable.LIMITS.values() for c in t})))
def test_nearest_amounts_are_legal_and_nothing_legal_lies_closer(minor: int, currency: str) -> None:
    amount = Money(minor, currency)
    found = payable.nearest(amount)
    assert found
    assert all(payable.refusals(each) == [] for each in found)
    for each in found:
        between = range(min(minor, each.minor) + 1, max(minor, each.minor))[:600]
        assert all(payable.refusals(Money(step, currency)) for step in between)
