"""Papers that nobody bought, for looking at the template: a catalogue's own names and prices, an invented buyer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.translation import override

from billing import invoice_words, invoice_writing, seller_days, taxing
from billing.invoice_writing import NewLine
from billing.models import Invoice, InvoiceLine, Payment
from billing.models.invoices import InvoiceKind, TaxCategory
from billing.taxing import Treatment
from credits.catalogue_files import Catalogue
from ledger.ids import uuid7
from ledger.money import Money

ISSUED_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
RATES = {"EUR": 2_000, "XOF": 1_800, "XAF": 1_925}  # of the countries whose money it is; of others nothing is taken
BUYER = {
    "name": "Atelier Ndiaye & Fils",
    "contact": "Awa Ndiaye",
    "address": "12 rue de la République",
    "postcode": "69002",
    "city": "Lyon",
    "country": "FR",
    "vat_number": "FR44732829320",
    "email": "awa@example.org",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    invoice: Invoice
    lines: list[InvoiceLine]


def of_catalogue(catalogue: Catalogue, *, locale: str, currency: str, lines: int = 1) -> Iterator[Sample]:
    """An invoice of the first things on sale, and a credit note of half of the first."""
    things = _things(catalogue, locale, currency)
    if not things:
        return
    several = [things[number % len(things)] for number in range(lines)]
    invoice = paper(several, locale=locale)
    yield invoice
    yield _credit_note(invoice)


def _things(catalogue: Catalogue, locale: str, currency: str) -> list[tuple[str, Money]]:
    """What is on sale in this currency. Of a marketplace, a free amount called as what its sellers sell."""
    with override(locale):
        packs = [
            (
                invoice_words.pack_line(getattr(pack.name, locale), pack.total, catalogue.unit, catalogue.code),
                pack.prices.get(currency),
            )
            for pack in catalogue.packs.values()
        ]
        plans = [
            (invoice_words.plan_line(getattr(plan.name, locale)), prices.get(currency))
            for plan in catalogue.plans.values()
            for prices in plan.prices.values()
        ]
    sales = [(getattr(each.label, locale), each.minimum.get(currency)) for each in catalogue.sale_types.values()]
    return [(name, price) for name, price in (packs + plans or sales) if price is not None]


def paper(things: Sequence[tuple[str, Money]], *, locale: str) -> Sample:
    treatment = _treatment(things[0][1].unit)
    lines = []
    for name, price in things:
        tax = taxing.contained_in(price, treatment.basis_points)
        lines.append(NewLine(description=name, net=price - tax, tax=tax, treatment=treatment, discount_minor=0))
    payment = Payment(ended_at=ISSUED_AT)
    return _sample(InvoiceKind.INVOICE, lines, locale=locale, payment=payment, payment_method="stripe")


def _credit_note(sold: Sample) -> Sample:
    first = sold.lines[0]
    treatment = _treatment(sold.invoice.currency)
    back = Money(first.gross_minor // 2, sold.invoice.currency)
    tax = taxing.contained_in(back, treatment.basis_points)
    line = NewLine(description=first.description, net=back - tax, tax=tax, treatment=treatment)
    facts: dict[str, object] = {"corrects": sold.invoice, "refund_id": uuid7()}  # of money that went back
    return _sample(InvoiceKind.CREDIT_NOTE, [line], locale=sold.invoice.locale, **facts)


def _treatment(currency: str) -> Treatment:
    if currency not in RATES:
        return taxing.untaxed()
    return Treatment(category=TaxCategory.STANDARD, basis_points=RATES[currency])


def _sample(kind: InvoiceKind, lines: Sequence[NewLine], **facts: object) -> Sample:
    net, tax = sum(line.net.minor for line in lines), sum(line.tax.minor for line in lines)
    prefix = settings.CREDIT_NOTE_PREFIX if kind is InvoiceKind.CREDIT_NOTE else settings.INVOICE_PREFIX
    invoice = Invoice(
        kind=kind,
        number=f"{prefix}{ISSUED_AT.year}-000042",
        user=User(username="sample"),
        seller=invoice_writing.seller(),
        buyer=BUYER,
        currency=lines[0].net.unit,
        net_minor=net,
        tax_minor=tax,
        gross_minor=net + tax,
        mention=lines[0].treatment.mention,
        issued_at=ISSUED_AT,
        issued_on=seller_days.here(ISSUED_AT).date(),
        **facts,
    )
    return Sample(invoice=invoice, lines=invoice_writing.rows(invoice, lines))
