"""The bytes of invoices: made once after the sale, kept with their digests, never made again."""

import hashlib
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import facturx
import orjson
import typst
from babel.dates import format_date
from babel.numbers import format_decimal
from django.conf import settings
from django.db import transaction
from django.template.loader import get_template
from django.utils import timezone
from django.utils.translation import gettext, override

from billing import invoice_xml
from billing.models import Invoice, InvoiceFile
from ledger.money import Money, format_money

logger = logging.getLogger(__name__)


def render_due() -> int:
    """Render what waits; a paper that cannot be made is tried again later and stops no other."""
    done = 0
    for pk in list(
        Invoice.objects.filter(render_next_at__lte=timezone.now())
        .order_by("render_next_at")
        .values_list("pk", flat=True)[: settings.INVOICE_SWEEP_BATCH]
    ):
        done += _render_one(pk)
    return done


@transaction.atomic
def _render_one(pk: UUID) -> bool:
    waiting = Invoice.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    invoice = waiting.filter(pk=pk, render_next_at__isnull=False).first()
    if invoice is None:
        return False
    try:
        pdf, xml = documents(invoice)
    except Exception as error:
        logger.exception("invoice.not_rendered", extra={"invoice": str(pk)})
        pause = min(
            settings.INVOICE_RENDER_RETRY_SECONDS * 2 ** min(invoice.render_tries, 20),
            settings.INVOICE_RENDER_LONGEST_SECONDS,
        )
        invoice.render_tries += 1
        invoice.render_error = str(error)[:500]
        invoice.render_next_at = timezone.now() + timedelta(seconds=pause)
        invoice.save(update_fields=["render_tries", "render_error", "render_next_at"])
        return False
    InvoiceFile.objects.create(
        invoice=invoice,
        pdf=pdf,
        xml=xml,
        pdf_sha256=hashlib.sha256(pdf).hexdigest(),
        xml_sha256=hashlib.sha256(xml).hexdigest() if xml else "",
    )
    invoice.render_next_at, invoice.render_error = None, ""
    invoice.save(update_fields=["render_next_at", "render_error"])
    return True


def documents(invoice: Invoice) -> tuple[bytes, bytes]:
    """The PDF/A-3b with its XML inside, and that XML; no XML where EN 16931 cannot write the currency."""
    with override(invoice.locale):
        drawn = draw(invoice)
    if not invoice_xml.can_write(invoice.currency):
        return drawn, b""
    xml = invoice_xml.build(invoice)
    pdf = facturx.generate_from_binary(drawn, xml, flavor="factur-x", level=invoice_xml.LEVEL, lang=invoice.locale)
    return pdf, xml


def draw(invoice: Invoice) -> bytes:
    origin = get_template("billing/invoices/invoice.typ").origin  # type: ignore[attr-defined]
    data = orjson.dumps(told(invoice)).decode()
    drawn: bytes = typst.compile(  # type: ignore[type-var]
        Path(origin.name),
        root="/",
        sys_inputs={"data": data},
        pdf_standards=["a-3b"],
        ignore_system_fonts=True,
    )
    return drawn


def told(invoice: Invoice) -> dict[str, Any]:
    """All that the paper says, as people in its language write it."""
    on = invoice.issued_on
    return {
        "lang": invoice.locale,
        "colour": settings.INVOICE_COLOUR,
        "logo": str(Path(settings.INVOICE_LOGO).resolve()) if settings.INVOICE_LOGO else "",
        "title": gettext("Credit note") if invoice.is_credit_note else gettext("Invoice"),
        "number": invoice.number,
        "date": {"year": on.year, "month": on.month, "day": on.day},
        "date_text": format_date(on, "long", locale=invoice.locale),
        "labels": {
            "page": gettext("Page"),
            "number": gettext("No."),
            "date": gettext("Date:"),
            "seller": gettext("Seller"),
            "buyer": gettext("Billed to"),
            "columns": [
                gettext("Description"), gettext("Quantity"), gettext("Unit price"), gettext("Tax"), gettext("Net"),
            ],
        },
        "seller": {"name": invoice.seller["name"], "lines": _lines(invoice.seller), "identity": _identity(invoice)},
        "buyer": {"lines": _lines(invoice.buyer)},
        "notes": _notes(invoice),
        "lines": [_line(invoice, line) for line in invoice.lines.all()],
        "totals": [
            [gettext("Total without tax"), _shown(invoice, invoice.net_minor)],
            [gettext("Tax"), _shown(invoice, invoice.tax_minor)],
        ],
        "total": [gettext("Total"), _shown(invoice, invoice.gross_minor)],
        "paid": "" if invoice.is_credit_note else gettext("Paid."),
        "mention": invoice.mention,
    }  # fmt: skip


def _line(invoice: Invoice, line: Any) -> list[str]:
    locale = invoice.locale
    return [
        line.description,
        format_decimal(line.quantity, locale=locale),
        _shown(invoice, line.unit_price_minor),
        f"{format_decimal(line.tax_basis_points / 100, locale=locale)} %",
        _shown(invoice, line.net_minor),
    ]


def _lines(party: dict[str, str]) -> list[str]:
    town = " ".join(filter(None, (party.get("postcode"), party.get("city"))))
    number = party.get("vat_number")
    vat = gettext("VAT number: %(number)s") % {"number": number} if number else ""
    return [line for line in (party["name"], party.get("address"), town, party["country"], vat) if line]


def _identity(invoice: Invoice) -> str:
    return " · ".join(filter(None, (invoice.seller["name"], invoice.seller["legal_id"], invoice.seller["email"])))


def _notes(invoice: Invoice) -> list[str]:
    if invoice.corrects is None:
        return []
    day = format_date(invoice.corrects.issued_on, "long", locale=invoice.locale)
    return [gettext("Corrects invoice %(number)s of %(date)s.") % {"number": invoice.corrects.number, "date": day}]


def _shown(invoice: Invoice, minor: int) -> str:
    return format_money(Money(minor, invoice.currency), invoice.locale)
