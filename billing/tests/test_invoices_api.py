"""Invoices over HTTP: what is wished for wrongly, what is somebody else's, and what has no XML."""

import pytest

from billing import invoice_files, invoices
from billing.models import Invoice, InvoiceFile
from billing.tests import shop
from billing.tests.papers import known
from billing.tests.test_bills import WISH, fresh, issued, status_of
from rest.tests.callers import customer, get, post, service

pytestmark = pytest.mark.django_db
NOBODYS = "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f"


@pytest.mark.parametrize(
    ("left_out", "field"),
    [(["lines"], "lines"), (["currency"], "currency"), (["due_on"], "due_on"), ([*WISH], "currency")],
)
def test_invoice_of_lines_needs_all_that_makes_one(french, left_out: list[str], field: str) -> None:
    wish = {name: value for name, value in WISH.items() if name not in left_out}
    answer = post("invoices", service("issue_invoice", acts_for=known()), wish)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": field, "code": "required", "message": "Send a payment; or lines, currency and due_on."}
    ]
    assert not Invoice.objects.exists()


def test_payment_of_another_is_not_invoiced(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    stranger, anybody = service("issue_invoice", acts_for=known()), service("issue_invoice")
    answers = [
        post("invoices", stranger, {"payment": str(payment.pk)}),
        post("invoices", anybody, {"payment": NOBODYS}),
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert not Invoice.objects.exists()
    own = post("invoices", service("issue_invoice", acts_for=payment.user), {"payment": str(payment.pk)})
    assert (own.status_code, own.json()["payment"]) == (201, str(payment.pk))


def test_invoice_of_another_is_not_cancelled(stripe, french) -> None:
    invoice, wish = issued(), {"reason": "ordered twice"}
    stranger, anybody = service("cancel_invoice", acts_for=known()), service("cancel_invoice")
    answers = [
        post(f"invoices/{invoice.pk}/cancel", stranger, wish),
        post(f"invoices/{NOBODYS}/cancel", anybody, wish),
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert (fresh(invoice).status, status_of(invoice), Invoice.objects.count()) == ("issued", "pending", 1)


def test_receipt_has_a_pdf_and_no_xml(stripe, at_use) -> None:
    receipt = invoices.issue(payment=shop.paid(stripe, known()))
    invoice_files.render_due()
    who, path = customer(receipt.user), f"invoices/{receipt.pk}"
    assert get(f"{path}/pdf", who).content == bytes(InvoiceFile.objects.get().pdf)
    assert get(f"{path}/xml", who).status_code == 404
