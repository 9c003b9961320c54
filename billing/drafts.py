"""Invoices before they are paid: written as drafts, taxed on the day they are issued, and paid on a page of ours."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext, gettext_noop, override

from billing import customers, errors, invoice_links, invoice_writing, invoices, seller_days, taxing
from billing.invoice_writing import NewLine
from billing.models import DraftLine, Invoice, InvoiceDraft, Payment
from billing.models.gateways import CEILING
from billing.models.invoices import InvoiceKind
from billing.models.payments import PaymentKind
from ledger.ids import uuid7
from ledger.money import Money, total

MOST_LINES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One line as somebody wants it, before tax."""

    description: str
    unit_price_minor: int
    quantity: int = 1
    discount_minor: int = 0
    product: str = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoned:
    """What a draft would say if it were issued now."""

    lines: list[NewLine]
    net: Money
    tax: Money
    missing: list[str] = field(default_factory=list)  # what the law wants to know of the buyer
    email: str = ""

    @property
    def gross(self) -> Money:
        return self.net + self.tax


@transaction.atomic
def write(*, user: User, currency: str, due_on: date, lines: Sequence[Wanted], by: User | None = None) -> InvoiceDraft:
    """A draft with its lines. What could never be issued is refused here already."""
    if not 0 < len(lines) <= MOST_LINES:
        raise errors.DraftInvalid(f"An invoice has one to {MOST_LINES} lines.")
    for line in lines:
        if line.discount_minor > line.quantity * line.unit_price_minor:
            raise errors.DraftInvalid(f"The discount on {line.description!r} is more than its price.")
    draft = InvoiceDraft.objects.create(user=user, currency=currency, due_on=due_on, created_by=by)
    DraftLine.objects.bulk_create(
        DraftLine(
            draft=draft,
            position=position,
            description=line.description,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
            discount_minor=line.discount_minor,
            product=line.product,
        )
        for position, line in enumerate(lines, start=1)
    )
    return draft


def reckon(draft: InvoiceDraft) -> Reckoned:
    """The lines with the tax of today, or the refusal that says why it cannot be issued."""
    today, customer = seller_days.today(), customers.get(draft.user)
    rows = list(draft.lines.select_related("draft").order_by("product", "position"))
    found: list[tuple[int, NewLine]] = []
    for product, group in groupby(rows, key=lambda line: line.product):
        treatment = taxing.decide(customer=customer, country="", on=today, product=product)
        same = list(group)
        taxes = taxing.each_on([line.net for line in same], treatment.basis_points)
        for line, tax in zip(same, taxes, strict=True):
            new = NewLine(
                description=line.description,
                quantity=line.quantity,
                net=line.net,
                tax=tax,
                discount_minor=line.discount_minor,
                treatment=treatment,
            )
            found.append((line.position, new))
    lines = [line for _, line in sorted(found, key=lambda each: each[0])]
    unit = draft.currency
    net, tax = total((line.net for line in lines), unit), total((line.tax for line in lines), unit)
    if not 0 < (net + tax).minor <= CEILING:
        raise errors.DraftInvalid(
            gettext_noop("An invoice asks for more than nothing, and for less than the largest amount.")
        )
    if draft.due_on < today:
        raise errors.DraftInvalid(gettext_noop("The day by which it is to be paid is over."))
    buyer, missing = invoice_writing.buyer(draft.user)
    return Reckoned(
        lines=lines,
        net=net,
        tax=tax,
        missing=missing,
        email=buyer["email"],
    )


@transaction.atomic
def issue(*, draft: InvoiceDraft, expected: Reckoned | None = None) -> Invoice:
    """Its invoice, with a payment that waits. Issued once: whoever comes second is refused, and so is what does not
    reckon up to what was expected any more."""
    locked = InvoiceDraft.objects.select_for_update(of=("self",), no_key=True).select_related("user").get(pk=draft.pk)
    if locked.is_issued:
        raise errors.DraftIssued(locked.pk)
    reckoned, customer = reckon(locked), customers.get(locked.user)
    if expected is not None and reckoned != expected:
        raise errors.DraftChanged(locked.pk)
    buyer, missing = invoice_writing.buyer(locked.user)
    payment_id = uuid7()
    invoice = invoice_writing.write(
        InvoiceKind.INVOICE,
        lines=reckoned.lines,
        user=locked.user,
        # The payment is written after the invoice, since it is called by its number: the key is checked at the commit.
        payment_id=payment_id,
        seller=invoice_writing.seller(),
        buyer=buyer,
        missing=missing,
        is_simplified=invoice_writing.is_simplified(reckoned.gross, missing, reckoned.lines),
        locale=customer.locale,
        mention=reckoned.lines[0].treatment.mention,
        due_on=locked.due_on,
        remark=settings.INVOICE_PAYMENT_TERMS,
    )
    with override(customer.locale):
        description = gettext("Invoice %(number)s") % {"number": invoice.number}
    Payment.objects.create(
        pk=payment_id,
        user=locked.user,
        kind=PaymentKind.BILL,
        description=description,
        details={"invoice": str(invoice.pk)},
        amount_minor=invoice.gross_minor,
        tax_minor=invoice.tax_minor,
        currency=invoice.currency,
        country=customer.country,
        expires_at=_end_of(locked.due_on),
    )
    locked.invoice = invoice
    locked.save(update_fields=["invoice", "updated_at"])
    invoices.tell(invoice, due_on=str(invoice.due_on), payment_url=invoice_links.url(invoice))
    return invoice


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, ZoneInfo(settings.SELLER_TIME_ZONE))
