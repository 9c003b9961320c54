"""Issuing invoices and credit notes. The number is taken in the transaction that issues, so a failure burns none."""

import logging
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from billing import customers, errors, payments, taxing
from billing.models import Invoice, InvoiceLine, InvoiceSeries, Payment, Refund
from billing.models.invoices import InvoiceKind
from billing.models.payments import PaymentKind, PaymentStatus
from billing.models.refunds import RefundOrigin, RefundStatus
from billing.taxing import Treatment
from events.types import EventType
from ledger.ids import first_at
from ledger.money import Money

logger = logging.getLogger(__name__)
# What a seller of a marketplace sells is theirs to invoice.
INVOICED = (PaymentKind.PACK, PaymentKind.PLAN, PaymentKind.AMOUNT)


@transaction.atomic
def issue(*, payment: Payment) -> Invoice:
    """The invoice of a paid payment, which is its receipt too; asked again, the same."""
    locked = payments.lock(payment.pk)
    known = Invoice.objects.filter(payment=locked, kind=InvoiceKind.INVOICE).first()
    if known is not None:
        return known
    if locked.status != PaymentStatus.SUCCEEDED or locked.kind not in INVOICED:
        raise errors.NotInvoiced(locked.pk)
    treatment = _treatment(locked)
    paid_by = locked.attempts.filter(state="succeeded").values_list("gateway", flat=True).first()
    customer = customers.get(locked.user)
    buyer, missing = _buyer(locked)
    limit = settings.INVOICE_SIMPLIFIED_MINOR.get(locked.currency)
    invoice = _write(
        InvoiceKind.INVOICE,
        net=locked.money - locked.tax,
        tax=locked.tax,
        user=locked.user,
        payment=locked,
        seller=_seller(),
        buyer=buyer,
        missing=missing,
        is_simplified=bool(missing) and limit is not None and locked.amount_minor <= limit,
        locale=customer.locale,
        mention=treatment.mention,
        payment_method=paid_by or "",
    )
    _write_line(invoice, treatment, description=locked.description)
    payments.record(
        locked.user,
        EventType.INVOICE_ISSUED,
        invoice=str(invoice.pk),
        number=invoice.number,
        amount=invoice.gross_minor,
        currency=invoice.currency,
        payment=str(locked.pk),
    )
    return invoice


@transaction.atomic
def credit(*, refund: Refund) -> Invoice:
    """The credit note of a refund that has arrived; the invoice it corrects is issued first where it is not yet."""
    payment = payments.lock(refund.payment_id)
    known = Invoice.objects.filter(refund=refund).first()
    if known is not None:
        return known
    if refund.status != RefundStatus.SUCCEEDED or refund.origin == RefundOrigin.SURPLUS:
        raise errors.NotInvoiced(refund.pk)
    invoice = issue(payment=payment)
    [line] = invoice.lines.all()
    note = _write(
        InvoiceKind.CREDIT_NOTE,
        net=Money(refund.amount_minor - refund.tax_minor, refund.currency),
        tax=Money(refund.tax_minor, refund.currency),
        corrects=invoice,
        refund=refund,
        payment_method=invoice.payment_method,
        **{name: getattr(invoice, name) for name in _COPIED},
    )
    treatment = Treatment(category=line.tax_category, basis_points=line.tax_basis_points)  # type: ignore[arg-type]
    _write_line(note, treatment, description=line.description, corrects=line)
    payments.record(
        payment.user,
        EventType.CREDIT_NOTE_ISSUED,
        credit_note=str(note.pk),
        number=note.number,
        invoice=str(invoice.pk),
        amount=note.gross_minor,
        currency=note.currency,
        refund=str(refund.pk),
    )
    return note


_COPIED = ("user", "payment", "seller", "buyer", "missing", "is_simplified", "locale", "mention")


def issue_missing(*, since: datetime | None = None) -> int:
    """Issue what was paid or refunded and has no paper yet, oldest first; one that fails does not stop the others."""
    begin = first_at(since or timezone.now() - timedelta(days=settings.INVOICE_LOOK_BACK_DAYS))
    papers = Invoice.objects.all()
    unpapered = Payment.objects.filter(
        ~Exists(papers.filter(payment=OuterRef("pk"), kind=InvoiceKind.INVOICE)),
        pk__gte=begin,
        status=PaymentStatus.SUCCEEDED,
        kind__in=INVOICED,
    )
    uncredited = Refund.objects.filter(
        ~Exists(papers.filter(refund=OuterRef("pk"))),
        pk__gte=begin,
        status=RefundStatus.SUCCEEDED,
        payment__kind__in=INVOICED,
    ).exclude(origin=RefundOrigin.SURPLUS)
    batch = settings.INVOICE_SWEEP_BATCH
    done = sum(_tried(issue, payment=each) for each in unpapered.order_by("pk")[:batch])
    return done + sum(_tried(credit, refund=each) for each in uncredited.order_by("pk")[:batch])


def _tried(act: Any, **of: Any) -> int:
    try:
        act(**of)
    except (errors.BillingError, DatabaseError):
        logger.exception("invoice.not_issued", extra={name: str(thing.pk) for name, thing in of.items()})
        return 0
    return 1


# ---------------------------------------------------------------- numbers


def _write(kind: InvoiceKind, *, net: Money, tax: Money, **facts: Any) -> Invoice:
    series, now = _next_number(kind)
    prefix = settings.INVOICE_PREFIX if kind is InvoiceKind.INVOICE else settings.CREDIT_NOTE_PREFIX
    return Invoice.objects.create(
        kind=kind,
        year=series.year,
        sequence=series.last_number,
        number=f"{prefix}{series.year}-{series.last_number:06}",
        currency=net.unit,
        net_minor=net.minor,
        tax_minor=tax.minor,
        gross_minor=(net + tax).minor,
        line_count=1,
        issued_at=now,
        issued_on=_here(now).date(),
        render_next_at=now,
        **facts,
    )


def _next_number(kind: InvoiceKind) -> tuple[InvoiceSeries, datetime]:
    """The series of this year with its next number, locked until the commit; and the time of issuing, never before
    that of the number before it."""
    while True:
        year = _here(timezone.now()).year
        InvoiceSeries.objects.bulk_create([InvoiceSeries(kind=kind, year=year)], ignore_conflicts=True)
        series = InvoiceSeries.objects.select_for_update(no_key=True).get(kind=kind, year=year)
        now = timezone.now()
        if _here(now).year == year:  # else it turned while we waited for the lock
            break
    series.last_issued_at = max(now, series.last_issued_at or now)
    series.last_number += 1
    series.save(update_fields=["last_number", "last_issued_at"])
    return series, series.last_issued_at


def _here(moment: datetime) -> datetime:
    return moment.astimezone(ZoneInfo(settings.SELLER_TIME_ZONE))


# ---------------------------------------------------------------- facts of the day


def _write_line(
    invoice: Invoice, treatment: Treatment, *, description: str, corrects: InvoiceLine | None = None
) -> None:
    InvoiceLine.objects.create(
        invoice=invoice,
        position=1,
        corrects=corrects,
        description=description,
        unit_price_minor=invoice.net_minor,
        tax_category=treatment.category,
        tax_basis_points=treatment.basis_points,
        net_minor=invoice.net_minor,
        tax_minor=invoice.tax_minor,
        gross_minor=invoice.gross_minor,
    )


def _treatment(payment: Payment) -> Treatment:
    """What checkout froze. A payment that a gateway made by itself bore the tax that the gateway says, or none."""
    if frozen := payment.details.get("tax"):
        return taxing.from_json(frozen)
    return taxing.read_back(payment.money, payment.tax) if payment.tax_minor else taxing.untaxed()


def _seller() -> dict[str, str]:
    names = ("NAME", "ADDRESS", "POSTCODE", "CITY", "COUNTRY", "LEGAL_ID", "VAT_NUMBER", "EMAIL")
    return {name.lower(): getattr(settings, f"SELLER_{name}") for name in names}


def _buyer(payment: Payment) -> tuple[dict[str, str], list[str]]:
    customer = customers.get(payment.user)
    told = {
        "name": customer.company or customer.name,
        "country": payment.country or customer.country,
        "vat_number": customer.vat_number,
        "email": customer.email,
    }
    missing = [name for name in ("name", "country") if not told[name]]
    told["name"] = told["name"] or payment.user.get_username()
    return told, missing
