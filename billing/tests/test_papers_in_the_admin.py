"""Buttons on issued papers that do nothing, and say why."""

import pytest
from django.contrib.admin.models import LogEntry

from billing import invoice_files, invoices
from billing.models import Invoice
from billing.tests import shop
from billing.tests.papers import given_back, known
from billing.tests.test_payments_in_the_admin import member
from rest.tests.operators import browser

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "The document is being made. Ask again in a moment."),
        ("fr", "Le document est en préparation. Redemandez dans un instant."),
    ],
)
def test_document_that_is_not_made_yet_is_asked_for_again(stripe, french, language, sentence) -> None:
    invoice, client = invoices.issue(payment=shop.paid(stripe, known())), browser(member())
    path, speaking = f"/admin/billing/invoice/{invoice.pk}", {"accept-language": language}
    answer = client.get(f"{path}/pdf/", headers=speaking, follow=True)
    assert answer.redirect_chain == [(f"{path}/change/", 302)]
    assert sentence in answer.text
    invoice_files.render_due()
    opened = client.get(f"{path}/pdf/")
    assert (opened["Content-Type"], opened.content[:5]) == ("application/pdf", b"%PDF-")


def test_credit_note_is_not_credited(stripe, french) -> None:
    given_back(shop.paid(stripe, known()), 500)
    note = Invoice.objects.get(kind="credit_note")
    path = f"/admin/billing/invoice/{note.pk}"
    answer = browser(member("request_refund")).get(f"{path}/credit/", follow=True)
    assert answer.redirect_chain == [(f"{path}/change/", 302)]
    assert "Only an invoice that is paid can be credited so." in answer.text


def test_month_without_papers_is_not_downloaded(stripe, french) -> None:
    client, path = browser(member("export_invoice")), "/admin/billing/invoice/month/"
    form = client.get(path)
    assert (form.status_code, 'name="month"' in form.text) == (200, True)
    key = form.context["form"]["key"].value()
    answer = client.post(path, {"key": key, "month": "2001-02"}, follow=True)
    assert answer.redirect_chain == [("/admin/billing/invoice/", 302)]
    assert "Nothing was issued in that month." in answer.text
    assert client.post(path, {"key": key, "month": "soon"}).status_code == 200
    assert not LogEntry.objects.exists()
