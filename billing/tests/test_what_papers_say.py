"""Papers of a month of use, of what cost nothing, of receipts and of refunds that come and go: what stands on them."""

import zipfile
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from django.utils.translation import override

from billing import (
    customers,
    invoice_archive,
    invoice_files,
    invoice_samples,
    invoice_words,
    invoice_xml,
    invoices,
    taxing,
    usage_invoices,
)
from billing.gateways.base import RefundState
from billing.models import Invoice, InvoiceFile, TaxedUse
from billing.tests import shop
from billing.tests.couponing import buy, make_coupon
from billing.tests.papers import faults_of_schematron, given_back, known, later
from billing.tests.refunding import ask_for, say
from credits import usage
from ledger import checks
from ledger.models import Entry
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db


def month_invoice(gateway, **changes: str) -> Invoice:
    """Of 75 of the 250 paid credits, which were used this month; the 25 of the bonus go first."""
    buyer = known()
    invoices.issue(payment=shop.paid(gateway, buyer))
    usage.spend(user=buyer, amount=100, key="s-1")
    customers.change(customers.get(buyer), by=buyer, **changes)
    usage_invoices.issue_due(now=later())
    return Invoice.objects.with_lines().get(kind="invoice")


def told(invoice: Invoice) -> dict[str, Any]:
    found = Invoice.objects.with_lines().get(pk=invoice.pk)
    with override(found.locale):
        return invoice_words.told(found, list(found.lines.all()))


def test_month_of_use_names_its_month_and_was_paid_before(stripe, at_use) -> None:
    invoice = month_invoice(stripe)
    said = told(invoice)
    assert invoice.month is not None
    assert said["facts"][2:] == [["Used in", f"{invoice.month:%B %Y}"]]
    assert (said["settled"], said["pay"]) == ("Paid when the credits were bought.", None)


def test_month_of_use_of_somebody_who_moved_far_away_bears_no_tax(stripe, at_use) -> None:
    invoice = month_invoice(stripe, country="US")
    assert (invoice.net_minor, invoice.tax_minor, invoice.mention) == (299, 0, taxing.OUTSIDE)
    assert Entry.objects.get(kind="usage").transfers.count() == 1
    assert [on(f"{name}:EUR") for name in ("vouchers", "revenue:packs", "tax")] == [700, 299, 0]
    assert (TaxedUse.objects.get().tax_minor, checks.faults()) == (0, {})


def test_credit_note_of_a_receipt_says_what_it_corrects(stripe, at_use) -> None:
    given_back(shop.paid(stripe, known()), 500)
    receipt, note = (Invoice.objects.get(kind=kind) for kind in ("receipt", "credit_note"))
    [said] = told(note)["notes"]
    assert said.startswith(f"Corrects receipt {receipt.number} of ")


def test_receipt_has_no_xml_and_stands_in_the_archive_without_it(stripe, at_use) -> None:
    receipt = invoices.issue(payment=shop.paid(stripe, known()))
    invoice_files.render_due()
    packed = BytesIO(b"".join(invoice_archive.stream(receipt.issued_on.replace(day=1))))
    with zipfile.ZipFile(packed) as archive:
        assert sorted(archive.namelist()) == ["index.csv", f"receipt/{receipt.number}.pdf"]
        assert archive.read(f"receipt/{receipt.number}.pdf") == bytes(InvoiceFile.objects.get().pdf)


def test_what_cost_nothing_names_no_gateway(gateways, french, clock) -> None:
    make_coupon(basis_points=10_000)
    invoice = invoices.issue(payment=buy(known()))
    assert (invoice.gross_minor, told(invoice)["settled"]) == (0, "Paid on March 2, 2026.")


@pytest.mark.parametrize(
    ("later", "day"),
    [
        ([], "March 7"),
        ([RefundState.SUCCEEDED], "March 9"),
        ([RefundState.SUCCEEDED, RefundState.FAILED], "March 9"),
    ],
)
def test_paper_of_a_refund_that_came_back_says_when_unless_it_went_again(gateways, french, clock, later, day) -> None:
    """A paper that is drawn late says nothing of what came after it."""
    refund = say(ask_for(shop.paid(gateways["stripe"], known())), RefundState.SUCCEEDED)
    invoices.issue_missing()
    clock.move_to(datetime(2026, 3, 7, 12, tzinfo=UTC))
    say(refund, RefundState.FAILED)
    clock.move_to(datetime(2026, 3, 9, 12, tzinfo=UTC))
    invoices.issue_missing()
    again = Invoice.objects.get(kind="invoice", refund=refund)
    for state in later:
        clock.shift(86_400)
        say(refund, state)
    assert told(again)["settled"] == f"Paid: the refund came back on {day}, 2026."


def test_sample_in_money_of_elsewhere_bears_no_tax_and_is_valid(settings) -> None:
    settings.SELLER_VAT_NUMBER, settings.SELLER_LEGAL_ID = "FR44732829320", "732829320"
    sample = invoice_samples.paper([("Pack", Money(1_000, "USD"))], locale="en")
    invoice = sample.invoice
    assert (invoice.net_minor, invoice.tax_minor, invoice.mention) == (1_000, 0, taxing.OUTSIDE)
    assert faults_of_schematron(invoice_xml.build(invoice, sample.lines)) == []
