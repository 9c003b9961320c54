"""Amounts of rows as operators read them."""

from types import SimpleNamespace

import pytest
from django.utils.translation import override

from ledger import columns


@pytest.mark.parametrize(
    ("minor", "unit", "written"),
    [
        (1_990, "EUR", "€19.90"),
        (1_990, "XAF", "FCFA\xa01,990"),
        (None, "", "-"),
        (5, "CREDIT", "5 CREDIT"),
        (1_990, "euros?", "1990 euros?"),
    ],
)
def test_amount_is_written_as_money(minor: int | None, unit: str, written: str) -> None:
    column = columns.amount("price_minor", "price", unit="sale.currency")
    row = SimpleNamespace(price_minor=minor, sale=SimpleNamespace(currency=unit))
    assert column(None, row) == written


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        ("9.99 EUR", "9,99\xa0€"),
        ("1990 XAF", "1\u202f990\xa0FCFA"),
        ("", ""),
        ("12", "12"),
        ("9.999 EUR", "9.999 EUR"),
        ("paypal has not said", "paypal has not said"),
    ],
)
def test_amount_that_was_kept_as_text_is_rewritten_and_nothing_else(kept: str, written: str) -> None:
    with override("fr"):
        assert columns.rewritten(kept) == written


def test_amount_follows_the_language() -> None:
    with override("fr"):
        assert columns.amount("fee", "fee")(None, SimpleNamespace(fee=999, currency="EUR")) == "9,99\xa0€"
