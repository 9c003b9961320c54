"""Papers that are asked for again or too early, by two at once, or while the year turns."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine

from billing import asking, bills, errors, invoice_files, invoice_writing, invoices
from billing.checkout import Wishes
from billing.gateways.base import RefundState
from billing.models import Invoice, InvoiceFile, InvoiceSeries, Payment
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.refunding import ask_for, say
from billing.tests.test_bills import fresh, issued, status_of
from billing.tests.test_what_papers_say import month_invoice

pytestmark = pytest.mark.django_db


# ---------------------------------------------------------------- refunds


def test_refund_is_credited_once_and_only_when_it_has_arrived(stripe, french) -> None:
    refund = ask_for(shop.paid(stripe, known()), 500)
    for act in (invoices.credit, invoices.undo_notes):
        with pytest.raises(errors.NotInvoiced):
            act(refund=refund)
    assert not Invoice.objects.filter(kind="credit_note").exists()
    say(refund, RefundState.SUCCEEDED)
    [note] = invoices.credit(refund=refund)
    assert (note.gross_minor, note.refund) == (500, refund)
    assert invoices.credit(refund=refund) == [note]
    with pytest.raises(errors.NotInvoiced):  # it did not come back
        invoices.undo_notes(refund=refund)
    assert Invoice.objects.count() == 2


# ---------------------------------------------------------------- cancelling


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_invoice_is_not_cancelled_without_a_reason(stripe, french, reason) -> None:
    invoice = issued()
    with pytest.raises(errors.ReasonMissing):
        bills.cancel(invoice=invoice, reason=reason)
    assert (status_of(invoice), fresh(invoice).status, Invoice.objects.count()) == ("pending", "issued", 1)


def test_of_two_who_cancel_at_once_both_get_the_note_of_the_first(stripe, french, monkeypatch) -> None:
    invoice, usual, rivals = issued(), asking.free, [True]

    def free(payment: Payment) -> Any:
        freed = usual(payment)
        if rivals and rivals.pop():
            bills.cancel(invoice=fresh(invoice), reason="the faster one")
        return freed

    monkeypatch.setattr(asking, "free", free)
    note = bills.cancel(invoice=invoice, reason="the slower one")
    assert (note.remark, rivals) == ("the faster one", [])
    assert Invoice.objects.get(kind="credit_note") == note


def test_month_of_use_is_neither_paid_nor_cancelled(stripe, at_use) -> None:
    invoice = month_invoice(stripe)
    with pytest.raises(errors.NotCancellable):
        bills.cancel(invoice=invoice, reason="not wanted")
    with pytest.raises(errors.NotCancellable):
        bills.pay(invoice=invoice, wishes=Wishes())
    assert (Payment.objects.count(), Invoice.objects.filter(kind="credit_note").exists()) == (1, False)


# ---------------------------------------------------------------- numbers and documents


def test_year_that_turns_while_a_number_is_waited_for_is_that_of_the_paper(stripe, french, monkeypatch) -> None:
    payment, usual = shop.paid(stripe, known()), invoice_writing._locked_series
    with time_machine.travel(datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC), tick=False) as clock:

        def waited(kind: Any, year: int) -> InvoiceSeries:
            series = usual(kind, year)
            clock.move_to(datetime(2026, 12, 31, 23, 0, 1, tzinfo=UTC))  # midnight in Paris is over
            return series

        monkeypatch.setattr(invoice_writing, "_locked_series", waited)
        invoice = invoices.issue(payment=payment)
    assert (invoice.number, invoice.issued_on) == ("2027-000001", date(2027, 1, 1))
    assert dict(InvoiceSeries.objects.values_list("year", "last_number")) == {2026: 0, 2027: 1}


def test_document_that_another_sweep_has_made_is_not_put_off(stripe, french, settings, monkeypatch) -> None:
    invoice, usual = invoices.issue(payment=shop.paid(stripe, known())), invoice_files._put_off

    def put_off(*fault: Any) -> None:
        settings.INVOICE_LOGO = ""
        assert invoice_files.render_due() == 1
        usual(*fault)

    monkeypatch.setattr(invoice_files, "_put_off", put_off)
    settings.INVOICE_LOGO = "/nowhere/logo.svg"
    assert invoice_files.render_due() == 0
    invoice.refresh_from_db()
    assert (invoice.render_tries, invoice.render_error, invoice.render_next_at) == (0, "", None)
    assert InvoiceFile.objects.get().invoice == invoice
