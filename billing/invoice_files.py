"""The bytes of invoices: made once after the sale, kept with their digests, never made again."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import typst
from django.conf import settings
from django.db import transaction
from django.template.loader import get_template
from django.utils import timezone
from django.utils.translation import override

from billing import invoice_mail, invoice_words, invoice_xml
from billing.models import Invoice, InvoiceFile, InvoiceLine
from rest import sweeps, texts

NO_GLYPH = re.compile(r'the text `"(.*?)"` could not be displayed')
MARKS = {"Mn", "Mc", "Me", "Cf"}  # what stands on, or joins, the characters beside it
MOST_DRAWINGS = 4  # each names all that the one before could not display


def render_due() -> int:
    """Render what waits; a paper that cannot be made is tried again later and stops no other."""
    done = 0
    for pk in list(
        Invoice.objects.filter(render_next_at__lte=timezone.now())
        .order_by("render_next_at")
        .values_list("pk", flat=True)[: settings.INVOICE_SWEEP_BATCH]
    ):
        with sweeps.alone("invoice.not_rendered", invoice=str(pk)) as row:
            done += _render_one(pk)
        if row.fault is not None:
            _put_off(pk, row.fault)
    return done


@transaction.atomic
def _render_one(pk: UUID) -> bool:
    invoice = _locked(pk)
    if invoice is None:
        return False
    pdf, xml = documents(invoice, list(invoice.lines.all()))
    InvoiceFile.objects.create(
        invoice=invoice,
        pdf=pdf,
        xml=xml,
        pdf_sha256=hashlib.sha256(pdf).hexdigest(),
        xml_sha256=hashlib.sha256(xml).hexdigest() if xml else "",
    )
    # An invoice that is to be paid, or that need not be any more, is of no use to a buyer who does not get it.
    is_to_be_paid = (invoice.corrects or invoice).due_on is not None
    if (settings.INVOICE_MAIL or is_to_be_paid) and invoice.buyer.get("email"):
        invoice_mail.request(invoice=invoice)
    invoice.render_next_at, invoice.render_error = None, ""
    invoice.save(update_fields=["render_next_at", "render_error"])
    return True


@transaction.atomic
def _put_off(pk: UUID, fault: Exception) -> None:
    invoice = _locked(pk)
    if invoice is None:
        return
    pause = min(
        settings.INVOICE_RENDER_RETRY_SECONDS * 2 ** min(invoice.render_tries, 20),
        settings.INVOICE_RENDER_LONGEST_SECONDS,
    )
    invoice.render_tries += 1
    invoice.render_error = str(fault)[:500]
    invoice.render_next_at = timezone.now() + timedelta(seconds=pause)
    invoice.save(update_fields=["render_tries", "render_error", "render_next_at"])


def _locked(pk: UUID) -> Invoice | None:
    """None if it does not wait, or another has it."""
    waiting = Invoice.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
    return waiting.filter(pk=pk, render_next_at__isnull=False).first()


def documents(invoice: Invoice, lines: Sequence[InvoiceLine]) -> tuple[bytes, bytes]:
    """The PDF/A-3b with its XML inside, and that XML; no XML where EN 16931 has no words for the paper."""
    import facturx  # with pypdf and lxml a sixth of a start; most processes never draw a paper

    drawn = draw(invoice, lines)
    if not invoice_xml.can_write(invoice):
        return drawn, b""
    xml = invoice_xml.build(invoice, lines)
    pdf = facturx.generate_from_binary(drawn, xml, flavor="factur-x", level=invoice_xml.LEVEL, lang=invoice.locale)
    return pdf, xml


def draw(invoice: Invoice, lines: Sequence[InvoiceLine]) -> bytes:
    drawn = _compile(invoice, lines, pdf_standards=["a-3b"])
    assert isinstance(drawn, bytes)  # noqa: S101 - a PDF is one file, whatever its pages
    return drawn


def pictures(invoice: Invoice, lines: Sequence[InvoiceLine], *, dots_per_inch: float = 110) -> list[bytes]:
    """The pages as PNG, for whoever works on the template."""
    drawn = _compile(invoice, lines, format="png", ppi=dots_per_inch)
    return drawn if isinstance(drawn, list) else [drawn]


def _compile(invoice: Invoice, lines: Sequence[InvoiceLine], **how: Any) -> Any:
    """PDF/A refuses what our fonts have no glyph for, such as Chinese or an emoji: the drawing has a mark in its place,
    and the XML has the name as it is."""
    origin = get_template("billing/invoices/invoice.typ").origin  # type: ignore[attr-defined]
    with override(invoice.locale):
        told: Any = invoice_words.told(invoice, lines)
    for drawing in range(1, MOST_DRAWINGS + 1):
        data = {"data": orjson.dumps(told).decode()}
        try:
            return typst.compile(Path(origin.name), root="/", sys_inputs=data, ignore_system_fonts=True, **how)
        except typst.TypstError as error:
            missing = _without_glyph(str(error.diagnostic))
            if not missing or drawing == MOST_DRAWINGS:
                raise
        told = _marked(told, missing)
    raise AssertionError("The last drawing returns or raises.")


def _without_glyph(diagnostic: str) -> dict[int, str]:
    """The characters that typst could not display; it writes some as `\\u{ffff}`. Of a digit with a mark on it, such as
    a keycap emoji, it names the digit too: the mark alone goes, and plain letters and digits never do."""
    named = "".join(NO_GLYPH.findall(diagnostic))
    named = re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), named)
    marks = [each for each in named if unicodedata.category(each) in MARKS]
    return dict.fromkeys(
        map(ord, marks or [each for each in named if not (each.isascii() and each.isprintable())]), texts.UNKNOWN
    )


def _marked(told: object, missing: Mapping[int, str]) -> object:
    if isinstance(told, str):
        return told.translate(missing)
    if isinstance(told, Mapping):
        return {name: _marked(each, missing) for name, each in told.items()}
    return [_marked(each, missing) for each in told] if isinstance(told, list | tuple) else told
