"""How a row is called on its own page, above an inline, in the log of changes and where it forbids a deletion."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from billing.models import (
    CouponAmount,
    Discrepancy,
    GatewayCustomer,
    GatewayPrice,
    InvoiceFile,
    InvoiceSeries,
    MethodSetup,
    Reconciliation,
    TaxRate,
    TopUpCharge,
    VatCheck,
)

ID = UUID("0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f")
DAY = {"gateway": "stripe", "day": date(2026, 3, 2)}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (TaxRate(country="FR", category="books", basis_points=550), "FR books 5.5 %"),
        (TaxRate(country="FR", category="standard", basis_points=2_000), "FR standard 20 %"),
        (InvoiceSeries(kind="credit_note", year=2026), "credit_note 2026"),
        (InvoiceFile(pdf_sha256="ab12"), "ab12"),
        (VatCheck(vat_number="DE136695976", outcome="valid"), "DE136695976 valid"),
        (CouponAmount(amount_minor=550, currency="EUR"), "€5.50"),
        (Reconciliation(**DAY), "stripe 2026-03-02"),
        (Discrepancy(outcome="missing_here", **DAY), "stripe 2026-03-02 missing here"),
        (MethodSetup(id=ID, gateway="stripe"), f"stripe {ID}"),
        (GatewayCustomer(gateway="stripe", gateway_id="cus_1"), "stripe cus_1"),
        (GatewayPrice(gateway="stripe", gateway_id="price_1"), "stripe price_1"),
        (TopUpCharge(payment_id=ID), str(ID)),
    ],
)
def test_row_is_called_by_what_tells_it_apart(row: Any, name: str) -> None:
    assert str(row) == name
