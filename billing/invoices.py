"""Issuing invoices and credit notes. The number is taken in the transaction that issues, so a failure burns none."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import override

from billing import (
    customers,
    errors,
    invoice_corrections,
    invoice_words,
    invoice_writing,
    payments,
    taxing,
    voucher_refunds,
)
from billing.invoice_corrections import Correction
from billing.invoice_writing import NewLine
from billing.models import Invoice, Payment, Refund
from billing.models.invoices import InvoiceKind
from billing.models.payments import PaymentKind, PaymentStatus
from billing.models.refunds import RefundOrigin, RefundStatus
from billing.taxing import Treatment
from events import outbox
from events.types import EventType
from ledger.money import Money
from rest import sweeps

# What a seller of a marketplace sells is theirs to invoice.
INVOICED = (PaymentKind.PACK, PaymentKind.PLAN, PaymentKind.AMOUNT, PaymentKind.BILL)


@transaction.atomic
def issue(*, payment: Payment) -> Invoice:
    """The invoice of a paid payment, which is its receipt too; asked again, the same."""
    locked = payments.lock(payment.pk)
    known = Invoice.objects.of_sales().filter(payment=locked).first()
    if known is not None:
        return known
    if locked.status != PaymentStatus.SUCCEEDED or locked.kind not in INVOICED:
        raise errors.NotInvoiced(locked.pk)
    treatment = treatment_of(locked)
    paid_by = locked.attempts.filter(state="succeeded").values_list("gateway", flat=True).first()
    frozen = locked.details.get("tax", {})
    by_gateway = frozen if frozen.get("by") else {}
    buyer, missing = invoice_writing.buyer(
        locked.user,
        country=by_gateway.get("country") or frozen.get("buyer_country") or locked.country,
        vat_number=frozen.get("vat_number", ""),
    )
    lines = [line_of(locked, treatment)]
    invoice = invoice_writing.write(
        InvoiceKind.RECEIPT if taxed_at_use(locked) else InvoiceKind.INVOICE,
        lines=lines,
        user=locked.user,
        payment=locked,
        seller=invoice_writing.seller(),
        buyer=buyer,
        missing=missing,
        is_simplified=invoice_writing.is_simplified(locked.money, missing, lines),
        locale=customers.get(locked.user).locale,
        mention=treatment.mention,
        payment_method=paid_by or "",
    )
    tell(invoice)
    return invoice


def tell(invoice: Invoice, **more: Any) -> None:
    outbox.record(
        user=invoice.user,
        type=EventType.INVOICE_ISSUED,
        data={
            "invoice": str(invoice.pk),
            "number": invoice.number,
            "amount": invoice.gross_minor,
            "currency": invoice.currency,
            "payment": str(invoice.payment_id) if invoice.payment_id else None,
            **more,
        },
    )


def line_of(payment: Payment, treatment: Treatment) -> NewLine:
    """What was bought, at its price before the discount, and what was taken off; all without tax."""
    net, discount = payment.money - payment.tax, payment.discount_minor
    if discount and not payment.details.get("tax", {}).get("is_added"):
        # The discount was taken off a price that contains the tax, so its own tax goes off with it.
        before = payment.money + Money(discount, payment.currency)
        discount = (before - taxing.contained_in(before, treatment.basis_points) - net).minor
    return NewLine(
        description=_described(payment), net=net, tax=payment.tax, treatment=treatment, discount_minor=discount
    )


def _described(payment: Payment) -> str:
    with override(customers.get(payment.user).locale):
        if payment.kind == PaymentKind.PACK and "credits" in payment.details:
            given = payment.details["credits"] + payment.details["bonus"]
            given += payment.details.get("coupon", {}).get("credits", 0)
            unit, catalogue = payment.details["unit"], payment.details.get("catalogue", "")
            return invoice_words.pack_line(payment.description, given, unit, catalogue)
        return invoice_words.plan_line(payment.description) if payment.kind == PaymentKind.PLAN else payment.description


@transaction.atomic
def credit(*, refund: Refund) -> list[Invoice]:
    """The credit notes of a refund that has arrived, one for each invoice that it corrects; that of the payment is
    issued first where it is not yet. None where they were credited whole: what is more was lost, and is on no paper."""
    payment = payments.lock(refund.payment_id)
    refund.refresh_from_db(fields=["status", "times_back"])
    known = list(Invoice.objects.filter(refund=refund, kind=InvoiceKind.CREDIT_NOTE, times_back=refund.times_back))
    if known:
        return known
    if refund.status != RefundStatus.SUCCEEDED or refund.origin == RefundOrigin.SURPLUS:
        raise errors.NotInvoiced(refund.pk)
    return [note(correction, refund=refund, payment=payment) for correction in _corrections(payment, refund)]


def _corrections(payment: Payment, refund: Refund) -> list[Correction]:
    invoice, net, tax = issue(payment=payment), refund.money - refund.tax, refund.tax
    months: list[Correction] = []
    if taxed_at_use(payment):
        months = list(invoice_corrections.of_uses(refund))
        net, tax = voucher_refunds.taken(refund), Money(0, refund.currency)
    bought = invoice_corrections.of_refund(invoice, net, tax)
    return [bought, *months] if bought.lines else months


def note(correction: Correction, *, payment: Payment, refund: Refund | None = None, remark: str = "") -> Invoice:
    invoice = correction.invoice
    written = invoice_writing.write(
        InvoiceKind.CREDIT_NOTE,
        lines=correction.lines,
        corrects=invoice,
        payment=payment,
        refund=refund,
        times_back=refund.times_back if refund else 0,
        remark=remark,
        payment_method=invoice.payment_method,
        **{name: getattr(invoice, name) for name in _COPIED},
    )
    outbox.record(
        user=payment.user,
        type=EventType.CREDIT_NOTE_ISSUED,
        data={
            "credit_note": str(written.pk),
            "number": written.number,
            "invoice": str(invoice.pk),
            "amount": written.gross_minor,
            "currency": written.currency,
            "refund": str(refund.pk) if refund else None,
        },
    )
    return written


_COPIED = ("user", "seller", "buyer", "missing", "is_simplified", "locale", "mention")


@transaction.atomic
def undo_notes(*, refund: Refund) -> list[Invoice]:
    """The refund came back, so the sale stands as it was invoiced. A credit note is never changed: a new paper of the
    kind that it corrects takes it back line by line, with the next number. If it has arrived again since, that has a
    note of its own."""
    payment = payments.lock(refund.payment_id)
    refund.refresh_from_db(fields=["times_back"])
    if not refund.times_back:
        raise errors.NotInvoiced(refund.pk)
    notes = Invoice.objects.before_it_came_back().filter(refund=refund)
    return [_undone(found, payment) for found in notes.select_related("corrects", "refund", "user").order_by("pk")]


def _undone(found: Invoice, payment: Payment) -> Invoice:
    assert found.corrects is not None  # noqa: S101 - every credit note corrects something
    written = invoice_writing.write(
        InvoiceKind(found.corrects.kind),
        lines=invoice_corrections.whole(found),
        corrects=found,
        payment=payment,
        refund=found.refund,
        times_back=found.times_back,
        payment_method=found.payment_method,
        **{name: getattr(found, name) for name in _COPIED},
    )
    tell(written, takes_back=found.number)
    return written


def treatment_of(payment: Payment) -> Treatment:
    """What checkout froze. A payment that a gateway made by itself bore the tax that the gateway says, or none."""
    if frozen := payment.details.get("tax"):
        return taxing.from_json(frozen)
    return taxing.read_back(payment.money, payment.tax) if payment.tax_minor else taxing.untaxed()


def taxed_at_use(payment: Payment) -> bool:
    return bool(payment.details.get("tax", {}).get("at_use"))


def issue_missing(*, since: datetime | None = None) -> int:
    """Issue what was paid or refunded and has no paper yet, oldest first; one that fails does not stop the others."""
    moment = since or timezone.now() - timedelta(days=settings.INVOICE_LOOK_BACK_DAYS)
    papers = Invoice.objects.all()
    unpapered = Payment.objects.filter(
        ~Exists(papers.of_sales().filter(payment=OuterRef("pk"))),
        ended_at__gte=moment,  # some are paid, and some refunds arrive, weeks after they were asked for
        status=PaymentStatus.SUCCEEDED,
        kind__in=INVOICED,
    )
    uncredited = Refund.objects.filter(
        ~Exists(papers.filter(refund=OuterRef("pk"), times_back=OuterRef("times_back"))),
        ended_at__gte=moment,
        status=RefundStatus.SUCCEEDED,
        payment__kind__in=INVOICED,
    ).exclude(origin=RefundOrigin.SURPLUS)
    standing = papers.before_it_came_back().filter(refund=OuterRef("pk"))
    came_back = Refund.objects.filter(Exists(standing), ended_at__gte=moment)
    batch = settings.INVOICE_SWEEP_BATCH
    done = sum(_tried(issue, payment=each) for each in unpapered.order_by("pk")[:batch])
    done += sum(_tried(undo_notes, refund=each) for each in came_back.order_by("pk")[:batch])
    # As they arrived: each took its tax of what those before it had left.
    return done + _credit_some(uncredited.order_by("ended_at", "pk"), batch)


def _credit_some(refunds: QuerySet[Refund], batch: int) -> int:
    """Some never get a note, since all was credited before: they do not keep those behind them waiting."""
    done = 0
    for each in refunds[: batch * 10]:
        done += _tried(credit, refund=each)
        if done >= batch:
            break
    return done


def _tried(act: Any, **of: Any) -> int:
    with sweeps.alone("invoice.not_issued", **{name: str(thing.pk) for name, thing in of.items()}):
        return 1 if act(**of) else 0
    return 0
