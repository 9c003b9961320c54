"""Writing a paper down: its number, its lines and who it is between. All of it in the transaction that issues it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from billing import customers, seller_days
from billing.models import Invoice, InvoiceLine, InvoiceSeries
from billing.models.invoices import InvoiceKind, TaxCategory
from billing.taxing import Treatment
from ledger.money import Money

SELLER = ("NAME", "ADDRESS", "POSTCODE", "CITY", "COUNTRY", "LEGAL_ID", "VAT_NUMBER", "EMAIL")
# What an invoice has to say of its buyer above the limit of simplified ones.
NEEDED = ("name", "address", "city", "country")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLine:
    """One line: `net` and `tax` are of the whole quantity and after the discount, which is net too."""

    description: str
    net: Money
    tax: Money
    treatment: Treatment
    discount_minor: int = 0
    quantity: int = 1
    corrects: InvoiceLine | None = None


def write(kind: InvoiceKind, *, lines: Sequence[NewLine], **facts: Any) -> Invoice:
    series, now = _next_number(kind)
    net, tax = sum(line.net.minor for line in lines), sum(line.tax.minor for line in lines)
    invoice = Invoice.objects.create(
        kind=kind,
        year=series.year,
        sequence=series.last_number,
        number=f"{_prefix(kind)}{series.year}-{series.last_number:06}",
        currency=lines[0].net.unit,
        net_minor=net,
        tax_minor=tax,
        gross_minor=net + tax,
        line_count=len(lines),
        issued_at=now,
        issued_on=seller_days.here(now).date(),
        render_next_at=now,
        **facts,
    )
    InvoiceLine.objects.bulk_create(rows(invoice, lines))
    return invoice


def rows(invoice: Invoice, lines: Sequence[NewLine]) -> list[InvoiceLine]:
    return [
        InvoiceLine(
            invoice=invoice,
            position=position,
            corrects=line.corrects,
            description=line.description[:200],
            quantity=line.quantity,
            unit_price_minor=(line.net.minor + line.discount_minor) // line.quantity,
            discount_minor=line.discount_minor,
            tax_category=line.treatment.category,
            tax_basis_points=line.treatment.basis_points,
            net_minor=line.net.minor,
            tax_minor=line.tax.minor,
            gross_minor=line.net.minor + line.tax.minor,
        )
        for position, line in enumerate(lines, start=1)
    ]


# ---------------------------------------------------------------- numbers


def _prefix(kind: InvoiceKind) -> str:
    prefixes = {
        InvoiceKind.INVOICE: settings.INVOICE_PREFIX,
        InvoiceKind.CREDIT_NOTE: settings.CREDIT_NOTE_PREFIX,
        InvoiceKind.RECEIPT: settings.RECEIPT_PREFIX,
    }
    return str(prefixes[kind])


def _next_number(kind: InvoiceKind) -> tuple[InvoiceSeries, datetime]:
    """The series of this year with its next number, locked until the commit; and the time of issuing, never before
    that of the number before it."""
    while True:
        year = seller_days.here(timezone.now()).year
        series = _locked_series(kind, year)
        now = timezone.now()
        if seller_days.here(now).year == year:  # else it turned while we waited for the lock
            break
    series.last_issued_at = max(now, series.last_issued_at or now)
    series.last_number += 1
    series.save(update_fields=["last_number", "last_issued_at"])
    return series, series.last_issued_at


def _locked_series(kind: InvoiceKind, year: int) -> InvoiceSeries:
    InvoiceSeries.objects.bulk_create([InvoiceSeries(kind=kind, year=year)], ignore_conflicts=True)
    return InvoiceSeries.objects.select_for_update(no_key=True).get(kind=kind, year=year)


# ---------------------------------------------------------------- seller and buyer, as they are that day


def seller() -> dict[str, str]:
    return {name.lower(): getattr(settings, f"SELLER_{name}") for name in SELLER}


def buyer(user: User, *, country: str = "", vat_number: str = "") -> tuple[dict[str, str], list[str]]:
    """What we know of them, and what of it the law would have wanted and nobody has told us."""
    customer = customers.get(user)
    told = {
        "name": customer.company or customer.name,
        "contact": customer.name if customer.company else "",
        "address": customer.address,
        "postcode": customer.postcode,
        "city": customer.city,
        "country": country or customer.country,
        "vat_number": vat_number or customer.vat_number,
        "email": customer.email,
    }
    missing = [name for name in NEEDED if not told[name]]
    told["name"] = told["name"] or user.get_username()
    return told, missing


def is_simplified(gross: Money, missing: Sequence[str], lines: Sequence[NewLine]) -> bool:
    """Below the limit the law is content with less, but never where the buyer owes the tax (directive, art. 220a)."""
    if any(line.treatment.category == TaxCategory.REVERSE_CHARGE for line in lines):
        return False
    limit = settings.INVOICE_SIMPLIFIED_MINOR.get(gross.unit)
    return bool(missing) and limit is not None and gross.minor <= limit
