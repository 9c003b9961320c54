"""All that a paper says, as people write it in its language; the template adds only the look."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent
from django.conf import settings
from django.utils.translation import gettext

from billing import invoice_links
from billing.gateways import titles
from billing.models import Invoice, InvoiceLine
from billing.models.invoices import InvoiceKind, TaxCategory
from billing.models.refunds import RefundStatus
from billing.seller_days import here
from credits import unit_names
from ledger.money import BASIS_POINTS, Money, format_money
from rest.dates import long_date


def told(invoice: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    on = invoice.issued_on
    has_discount = any(line.discount_minor for line in lines)
    return {
        "lang": invoice.locale,
        "colour": settings.INVOICE_COLOUR,
        "logo": str(Path(settings.INVOICE_LOGO).resolve()) if settings.INVOICE_LOGO else "",
        "title": title(invoice),
        "number": invoice.number,
        "date": {"year": on.year, "month": on.month, "day": on.day},
        "facts": _facts(invoice),
        "labels": {
            "page": gettext("Page"),
            "continued": gettext("%(title)s %(number)s, continued")
            % {"title": title(invoice), "number": invoice.number},
            "seller": gettext("Seller"),
            "buyer": gettext("Billed to"),
            "columns": _columns(has_discount),
        },
        "seller": {
            "name": invoice.seller["name"],
            "lines": _party(invoice.seller, invoice.locale),
            "identity": _identity(invoice),
        },
        "buyer": {"lines": _party(invoice.buyer, invoice.locale)},
        "notes": _notes(invoice),
        "lines": [_cells(invoice, line, has_discount) for line in lines],
        "totals": _totals(invoice, lines),
        "total": [gettext("Total"), shown(invoice, invoice.gross_minor)],
        "settled": _settled(invoice),
        "remark": invoice.remark,
        "pay": {"url": invoice_links.url(invoice), "text": gettext("Pay this invoice")} if invoice.due_on else None,
        "mention": invoice.mention,
    }


def title(invoice: Invoice) -> str:
    titles = {
        InvoiceKind.INVOICE: gettext("Invoice"),
        InvoiceKind.CREDIT_NOTE: gettext("Credit note"),
        InvoiceKind.RECEIPT: gettext("Receipt"),
    }
    return titles[InvoiceKind(invoice.kind)]


def shown(invoice: Invoice, minor: int) -> str:
    return format_money(Money(minor, invoice.currency), invoice.locale)


def pack_line(name: str, given: int, unit: str, catalogue: str) -> str:
    """The law wants to know what was sold: a pack's name alone may say little."""
    return gettext("%(name)s: %(credits)s") % {"name": name, "credits": unit_names.counted(given, unit, catalogue)}


def plan_line(name: str) -> str:
    return gettext("Subscription: %(name)s") % {"name": name}


# ---------------------------------------------------------------- above the lines


def _facts(invoice: Invoice) -> list[list[str]]:
    facts = [
        [gettext("Number"), invoice.number],
        [gettext("Date"), long_date(invoice.issued_on, invoice.locale)],
    ]
    if invoice.due_on:
        facts.append([gettext("To be paid by"), long_date(invoice.due_on, invoice.locale)])
    if invoice.month:
        month = format_date(invoice.month, "LLLL y", locale=invoice.locale)
        facts.append([gettext("Used in"), month])
    return facts


def _party(party: dict[str, str], locale: str) -> list[str]:
    town = " ".join(filter(None, (party.get("postcode"), party.get("city"))))
    country = Locale.parse(locale).territories.get(party["country"], party["country"])
    number = party.get("vat_number")
    vat = gettext("VAT number: %(number)s") % {"number": number} if number else ""
    lines = (party["name"], party.get("contact"), party.get("address"), town, country, vat)
    return [line for line in lines if line]


def _identity(invoice: Invoice) -> str:
    return " · ".join(filter(None, (invoice.seller["name"], invoice.seller["legal_id"], invoice.seller["email"])))


def _notes(invoice: Invoice) -> list[str]:
    if invoice.corrects is None:
        return []
    day = long_date(invoice.corrects.issued_on, invoice.locale)
    facts = {"number": invoice.corrects.number, "date": day}
    if invoice.corrects.is_credit_note:
        return [gettext("Takes credit note %(number)s of %(date)s back: its refund was returned to us.") % facts]
    if invoice.corrects.kind == InvoiceKind.RECEIPT:
        return [gettext("Corrects receipt %(number)s of %(date)s.") % facts]
    return [gettext("Corrects invoice %(number)s of %(date)s.") % facts]


# ---------------------------------------------------------------- lines and totals


def _columns(has_discount: bool) -> list[str]:
    discount = [gettext("Discount")] if has_discount else []
    return [
        gettext("Description"),
        gettext("Quantity"),
        gettext("Unit price"),
        *discount,
        gettext("VAT"),
        gettext("Amount without tax"),
    ]


def _cells(invoice: Invoice, line: InvoiceLine, has_discount: bool) -> list[str]:
    discount = [shown(invoice, -line.discount_minor) if line.discount_minor else ""] if has_discount else []
    return [
        line.description,
        format_decimal(line.quantity, locale=invoice.locale),
        shown(invoice, line.unit_price_minor),
        *discount,
        _rate(line, invoice.locale),
        shown(invoice, line.net_minor),
    ]


def _rate(line: InvoiceLine, locale: str) -> str:
    if line.tax_category != TaxCategory.STANDARD:
        return "\N{EN DASH}"
    return format_percent(Decimal(line.tax_basis_points) / BASIS_POINTS, locale=locale, decimal_quantization=False)


def _totals(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[list[str]]:
    totals = [[gettext("Total without tax"), shown(invoice, invoice.net_minor)]]
    rates: dict[str, int] = {}
    for line in lines:
        if line.tax_category == TaxCategory.STANDARD:
            rate = _rate(line, invoice.locale)
            rates[rate] = rates.get(rate, 0) + line.tax_minor
    totals += [[gettext("VAT %(rate)s") % {"rate": rate}, shown(invoice, minor)] for rate, minor in rates.items()]
    return totals


def _settled(invoice: Invoice) -> str:
    """That it is paid, and how: what was used in a month was paid before."""
    if invoice.month:
        return gettext("Paid when the credits were bought.")
    if invoice.due_on:
        return gettext("To be paid by %(date)s.") % {"date": long_date(invoice.due_on, invoice.locale)}
    if invoice.corrects is not None:
        return _settled_after(invoice)
    paid_at = invoice.payment.ended_at if invoice.payment else None
    facts = {
        "date": long_date(here(paid_at).date() if paid_at else invoice.issued_on, invoice.locale),
        "gateway": titles.of(invoice.payment_method),
    }
    if not invoice.payment_method:
        return gettext("Paid on %(date)s.") % facts
    return gettext("Paid on %(date)s through %(gateway)s.") % facts


def _settled_after(invoice: Invoice) -> str:
    """Of a credit note, and of what takes one back."""
    if not invoice.is_credit_note:
        day = invoice.issued_on
        # Unless it has arrived again since, or come back another time.
        if (refund := invoice.refund) and refund.status == RefundStatus.FAILED and refund.ended_at:
            day = here(refund.ended_at).date() if refund.times_back == invoice.times_back + 1 else day
        return gettext("Paid: the refund came back on %(date)s.") % {"date": long_date(day, invoice.locale)}
    if invoice.refund_id is None:
        return gettext("This cancels an invoice that was not paid: nothing is owed.")
    return gettext("Refunded on %(date)s.") % {"date": long_date(invoice.issued_on, invoice.locale)}
