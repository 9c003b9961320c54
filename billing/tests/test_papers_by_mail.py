"""Papers by mail: to nobody, before they are drawn, and by two sweeps at once."""

from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from billing import errors, invoice_files, invoice_mail, invoices
from billing.models import InvoiceFile, InvoiceMailing
from billing.tests import shop
from billing.tests.papers import known

pytestmark = pytest.mark.django_db


def test_paper_of_a_buyer_without_an_address_is_sent_only_where_somebody_names_one(stripe, french) -> None:
    invoice = invoices.issue(payment=shop.paid(stripe, known()))
    with pytest.raises(errors.NoMailAddress) as refusal:
        invoice_mail.request(invoice=invoice)
    assert (refusal.value.invoice, InvoiceMailing.objects.exists()) == (invoice.pk, False)
    assert invoice_mail.request(invoice=invoice, address="accounts@example.org").address == "accounts@example.org"


def test_paper_that_is_not_drawn_yet_waits_and_no_try_is_counted(stripe, french) -> None:
    invoice = invoices.issue(payment=shop.paid(stripe, known(email="awa@example.org")))
    mailing, now = invoice_mail.request(invoice=invoice), timezone.now()
    assert (invoice_mail.send_due(), mail.outbox) == (0, [])
    mailing.refresh_from_db()
    assert (mailing.tries, mailing.error, mailing.sent_at) == (0, "", None)
    assert mailing.next_try_at is not None
    assert mailing.next_try_at > now  # not in a circle
    invoice_files.render_due()
    InvoiceMailing.objects.update(next_try_at=now)
    assert invoice_mail.send_due() == 1
    assert [letter.attachments[0][1] for letter in mail.outbox] == [bytes(InvoiceFile.objects.get().pdf)]


def test_two_sweeps_at_once_send_each_paper_once(stripe, french, monkeypatch) -> None:
    for name in ("one", "two"):
        invoice = invoices.issue(payment=shop.paid(stripe, known()))
        invoice_mail.request(invoice=invoice, address=f"{name}@example.org")
    invoice_files.render_due()
    usual, sent, rivals = invoice_mail.compose, [], [True]

    def compose(*of: Any) -> Any:
        if rivals and rivals.pop():
            sent.append(invoice_mail.send_due())
        return usual(*of)

    monkeypatch.setattr(invoice_mail, "compose", compose)
    assert (invoice_mail.send_due(), sent) == (1, [1])
    assert sorted(address for letter in mail.outbox for address in letter.to) == ["one@example.org", "two@example.org"]
    assert sorted(InvoiceMailing.objects.values_list("tries", flat=True)) == [1, 1]
