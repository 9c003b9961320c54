"""Invoices that are to be paid: paying one, and cancelling one that nobody has paid."""

from django.db import transaction

from billing import asking, checkout, errors, invoice_corrections, invoices, payments
from billing.checkout import Wishes
from billing.invoice_corrections import Correction
from billing.models import Invoice, Payment
from billing.models.payments import PaymentStatus


def pay(*, invoice: Invoice, wishes: Wishes) -> Payment:
    """Bring its payment to a gateway. Refused when it is over, and while another try could still be paid."""
    return checkout.again(payment=_payment(invoice), wishes=wishes)


def cancel(*, invoice: Invoice, reason: str) -> Invoice:
    """The credit note that takes an unpaid invoice back whole; asked again, the same. An attempt that waits is ended at
    its gateway first: who pays at that moment has paid, and then nothing is cancelled."""
    if not reason.strip():
        raise errors.ReasonMissing
    if (known := _note_of(invoice)) is not None:
        return known
    payment = _payment(invoice)
    if invoice.due_on is None or payment.status not in (PaymentStatus.PENDING, PaymentStatus.QUARANTINED):
        raise errors.NotCancellable(invoice.pk, invoice.status)
    asking.free(payment)
    return _cancel(invoice, payment, reason)


@transaction.atomic
def _cancel(invoice: Invoice, payment: Payment, reason: str) -> Invoice:
    locked = payments.lock(payment.pk)
    if (known := _note_of(invoice)) is not None:
        return known  # a rival was faster
    payments.cancel_bill(payment=locked)
    correction = Correction(invoice=invoice, lines=invoice_corrections.whole(invoice))
    return invoices.note(correction, payment=locked, remark=reason.strip()[:500])


def _note_of(invoice: Invoice) -> Invoice | None:
    return invoice.credit_notes.with_lines().filter(refund__isnull=True).first()


def _payment(invoice: Invoice) -> Payment:
    if invoice.payment_id is None:
        raise errors.NotCancellable(invoice.pk, invoice.status)
    return Payment.objects.select_related("user").get(pk=invoice.payment_id)
