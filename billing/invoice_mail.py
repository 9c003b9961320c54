"""Documents by mail: asked for by a row, sent by a sweep, with the stored bytes attached and never others."""

import logging
import smtplib
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext, override

from billing import errors, invoice_links, invoice_words
from billing.models import Invoice, InvoiceFile, InvoiceMailing
from events import mail
from rest import sweeps
from rest.dates import long_date

logger = logging.getLogger(__name__)


def request(*, invoice: Invoice, address: str = "", by: User | None = None) -> InvoiceMailing:
    """Have it sent to the buyer, or to another address that somebody names."""
    address = address or invoice.buyer.get("email", "")
    if not address:
        raise errors.NoMailAddress(invoice.pk)
    return InvoiceMailing.objects.create(invoice=invoice, address=address, requested_by=by, next_try_at=timezone.now())


def send_due() -> int:
    """Send what waits. A row is claimed by moving its next try, so that two sweeps at once send it once."""
    if not mail.is_possible():
        return 0
    due = InvoiceMailing.objects.filter(next_try_at__lte=timezone.now()).order_by("next_try_at")
    done = 0
    for mailing in due.select_related("invoice__payment")[: settings.INVOICE_SWEEP_BATCH]:
        pause = timedelta(seconds=settings.INVOICE_MAIL_RETRY_SECONDS * 2**mailing.tries)
        claimed = InvoiceMailing.objects.filter(pk=mailing.pk, next_try_at=mailing.next_try_at).update(
            next_try_at=timezone.now() + pause, tries=mailing.tries + 1
        )
        if claimed:
            with sweeps.alone("invoice.not_composed", mailing=str(mailing.pk)) as row:
                done += _send(mailing)
            if row.fault is not None:
                _failed(mailing, row.fault)
    return done


def _send(mailing: InvoiceMailing) -> bool:
    file = InvoiceFile.objects.filter(pk=mailing.invoice_id).first()
    if file is None:
        _unsent(mailing).update(tries=mailing.tries)  # it is still being rendered: that is no failure of the mail
        return False
    try:
        compose(mailing, file).send()
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("invoice.not_mailed", extra={"mailing": mailing.pk, "reason": type(error).__name__})
        _failed(mailing, error)
        return False
    _unsent(mailing).update(sent_at=timezone.now(), next_try_at=None, error="")
    return True


def _failed(mailing: InvoiceMailing, fault: Exception) -> None:
    gives_up = {"next_try_at": None} if mailing.tries + 1 >= settings.INVOICE_MAIL_TRIES else {}
    _unsent(mailing).update(error=type(fault).__name__, **gives_up)


def _unsent(mailing: InvoiceMailing) -> QuerySet[InvoiceMailing]:
    return InvoiceMailing.objects.filter(pk=mailing.pk, sent_at__isnull=True)


def _how_to_pay(invoice: Invoice) -> list[str]:
    if invoice.due_on is None or not invoice.is_to_be_paid:
        return []
    day = long_date(invoice.due_on, invoice.locale)
    return [gettext("Please pay it by %(date)s:") % {"date": day}, invoice_links.url(invoice)]


def compose(mailing: InvoiceMailing, file: InvoiceFile) -> EmailMessage:
    invoice = mailing.invoice
    with override(invoice.locale):
        facts = {
            "title": invoice_words.title(invoice),
            "number": invoice.number,
            "seller": invoice.seller["name"],
            "amount": invoice_words.shown(invoice, invoice.gross_minor),
        }
        subject = gettext("%(title)s %(number)s from %(seller)s") % facts
        parts = [gettext("You find attached: %(title)s %(number)s, %(amount)s.") % facts, *_how_to_pay(invoice)]
        body = "\n\n".join([*parts, f"{facts['seller']}\n"])
    answers_go_to = invoice.seller["email"] or settings.SUPPORT_EMAIL
    letter = EmailMessage(
        subject=subject, body=body, to=[mailing.address], reply_to=[answers_go_to] if answers_go_to else []
    )
    letter.attach(f"{invoice.number}.pdf", bytes(file.pdf), "application/pdf")
    return letter
