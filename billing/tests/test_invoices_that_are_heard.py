"""Which invoices of a renewing gateway become a payment of ours, and which are heard and left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from billing import gateway_invoices
from billing.gateways.subscribing import InvoiceState
from billing.gateways.tax_figures import TaxFigures, TaxReason
from billing.models import Payment, Subscription
from billing.tests.renewing import RenewingGateway, begin
from billing.tests.subscribers import fresh
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db


def heard(renewing: RenewingGateway, **changes: Any) -> tuple[Subscription, Payment | None]:
    """The first invoice of a plan that has begun, as it was listed among the paid ones."""
    found = begin()
    renewing.is_paid()
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], **changes)
    return found, gateway_invoices.hear(found, "in_1", renewing.known)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": InvoiceState.OPEN},
        {"state": InvoiceState.VOID},
        {"state": InvoiceState.NOT_FOUND},
        {"paid": None},
        {"subscription": "sub_2"},
    ],
)
def test_invoice_that_is_not_paid_or_not_of_this_plan_moves_nothing(renewing, changes: dict[str, Any]) -> None:
    found, payment = heard(renewing, **changes)
    assert (payment, Payment.objects.count(), fresh(found).status) == (None, 0, "incomplete")
    assert not gateway_invoices.is_heard("stripe", "in_1")  # should it be paid later, it is asked about again


def test_invoice_that_names_this_plan_is_its_payment(renewing) -> None:
    found, payment = heard(renewing, subscription="sub_1")
    assert payment is not None
    assert (payment.amount_minor, fresh(found).status) == (999, "active")
    assert gateway_invoices.is_heard("stripe", "in_1")


@pytest.mark.parametrize("length", [timedelta(0), -timedelta(days=1), None])
def test_period_that_is_none_is_a_month_of_ours(renewing, length: timedelta | None) -> None:
    found = begin()
    renewing.is_paid()
    start = renewing.known.period_start
    renewing.known = replace(renewing.known, period_end=None if length is None else start + length)
    payment = gateway_invoices.hear(found, "in_1", renewing.known)
    assert payment is not None
    assert "period" not in payment.details
    ours = fresh(found)
    # By the customer's own clock, which went forward in between.
    assert (ours.status, ours.paid_until) == ("active", datetime(2026, 4, 2, 8, tzinfo=UTC))


def test_invoice_that_cannot_be_written_is_not_taken_for_one_that_a_rival_wrote(renewing) -> None:
    """More tax than money, which our tables refuse: somebody has to look, and until then it is tried again."""
    figures = TaxFigures(tax=Money(1_000, "EUR"), reason=TaxReason.TAXED)
    with pytest.raises(IntegrityError, match="payment_tax_is_part_of_the_amount"):
        heard(renewing, tax=figures)
    assert (Payment.objects.count(), Subscription.objects.get().status) == (0, "incomplete")
    assert (on("revenue:plans:EUR"), checks.faults()) == (0, {})
