"""Which lines of an order PayPal is told: those that it would not refuse."""

from dataclasses import replace
from typing import Any

import pytest

from billing.gateways.base import Line
from billing.gateways.paypal.translation import order_to_them
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

PAYPAL = next(each for each in CONTENDERS if each.name == "paypal")


def bought(amount: Money, *lines: tuple[int, Money]) -> dict[str, Any]:
    """What of an order for these lines PayPal is told."""
    told = [Line(name="Pack", quantity=quantity, unit_price=price) for quantity, price in lines]
    unit: dict[str, Any] = order_to_them(replace(contenders.checkout(PAYPAL, amount=amount), lines=told), "")[
        "purchase_units"
    ][0]
    return unit


def test_lines_are_told_that_make_the_amount() -> None:
    unit = bought(Money(25_00, "EUR"), (2, Money(10_00, "EUR")), (1, Money(5_00, "EUR")))
    assert [(line["quantity"], line["unit_amount"]["value"]) for line in unit["items"]] == [
        ("2", "10.00"),
        ("1", "5.00"),
    ]
    assert unit["amount"] == {
        "currency_code": "EUR",
        "value": "25.00",
        "breakdown": {"item_total": {"currency_code": "EUR", "value": "25.00"}},
    }


@pytest.mark.parametrize(
    ("amount", "lines"),
    [
        (Money(25_00, "EUR"), [(1, Money(24_99, "EUR"))]),
        (Money(25_00, "EUR"), [(1, Money(25_00, "USD"))]),
        (Money(25_00, "EUR"), [(1, Money(30_00, "EUR")), (1, Money(-5_00, "EUR"))]),
        (Money(25_00, "EUR"), [(1, Money(25_00, "EUR")), (0, Money(5_00, "EUR"))]),
        (Money(20_00, "HUF"), [(2, Money(9_50, "HUF")), (1, Money(1_00, "HUF"))]),  # PayPal knows no half forints
    ],
)
def test_amount_stands_alone_where_paypal_would_refuse_its_lines(amount: Money, lines: list[tuple[int, Money]]) -> None:
    unit = bought(amount, *lines)
    assert "items" not in unit
    assert sorted(unit["amount"]) == ["currency_code", "value"]
