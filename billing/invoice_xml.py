"""Factur-X: an invoice in the terms of EN 16931, as the XML that goes into its PDF. Checked against the XSD."""

from collections.abc import Sequence
from typing import Any

from billing.gateways import registry
from billing.models import Invoice, InvoiceLine
from billing.models.invoices import InvoiceKind, TaxCategory
from ledger.money import Money, exponent, plain
from rest import texts

LEVEL = "en16931"
MOST_DECIMALS = 2  # EN 16931 knows no finer amount: dinars of thousandths have no XML
CARD, OTHER = "48", "ZZZ"
DISCOUNT = "95"  # as UNTDID 5189 codes it


def can_write(invoice: Invoice) -> bool:
    """A receipt is no invoice, and what takes it back is none either."""
    kinds = {invoice.kind, invoice.corrects.kind if invoice.corrects else ""}
    return exponent(invoice.currency) <= MOST_DECIMALS and InvoiceKind.RECEIPT not in kinds


def build(invoice: Invoice, lines: Sequence[InvoiceLine]) -> bytes:
    import facturx  # see billing.invoice_files

    told = _writable(terms(invoice, lines))
    written: bytes = facturx.generate_cii_xml(told, level=LEVEL, check_xsd=True, check_schematron=None)
    return written


def _writable(told: Any) -> Any:
    """What is let in today has no such characters; a paper that was frozen before may."""
    if isinstance(told, str):
        return texts.for_xml(told)
    if isinstance(told, dict):
        return {name: _writable(each) for name, each in told.items()}
    return [_writable(each) for each in told] if isinstance(told, list) else told


def terms(invoice: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    net, tax, gross = plain(invoice.net), plain(invoice.tax), plain(invoice.gross)
    return {
        "BT-1": invoice.number,
        "BT-2": invoice.issued_on.isoformat(),
        "BT-3": "381" if invoice.is_credit_note else "380",
        "BT-5": invoice.currency,
        "BT-24": "urn:cen.eu:en16931:2017",
        "BT-72": invoice.issued_on.isoformat(),
        "BG-3": [_preceding(invoice.corrects)] if invoice.corrects else [],
        "BG-4": _party(invoice.seller, lines[0].tax_category, is_seller=True),
        "BG-7": _party(invoice.buyer, lines[0].tax_category, is_seller=False),
        "BT-81": CARD if _takes_cards(invoice.payment_method) else OTHER,
        "BT-106": net,
        "BT-109": net,
        "BT-110": tax,
        "BT-112": gross,
        **_owed(invoice),
        "BG-23": [_breakdown(invoice, same) for same in _by_rate(lines)],
        "BG-25": [
            {
                "BT-126": str(line.position),
                "BT-129": str(line.quantity),
                "BT-130": "C62",
                "BT-131": plain(Money(line.net_minor, invoice.currency)),
                "BT-146": plain(Money(line.unit_price_minor, invoice.currency)),
                "BT-153": line.description,
            }
            | _tax(line, "BT-151", "BT-152")
            | _discount(line, invoice.currency)
            for line in lines
        ],
    }


def _takes_cards(gateway: str) -> bool:
    return gateway in registry.BUILDERS and registry.get(gateway).capabilities.takes_cards


def _owed(invoice: Invoice) -> dict[str, str]:
    """What of it was paid when it was issued, what is still owed and until when, and how it is settled in words."""
    gross, zero = plain(invoice.gross), plain(Money(0, invoice.currency))
    if invoice.due_on:
        due = {"BT-9": invoice.due_on.isoformat()} | ({"BT-20": invoice.remark} if invoice.remark else {})
        return due | {"BT-113": zero, "BT-115": gross}
    if invoice.is_credit_note:
        words = "Refunded" if invoice.refund_id else f"Cancelled: {invoice.remark}"
        return {"BT-113": zero, "BT-115": gross, "BT-20": words}
    return {"BT-113": gross, "BT-115": zero, "BT-20": "Paid"}


def _by_rate(lines: Sequence[InvoiceLine]) -> list[list[InvoiceLine]]:
    groups: dict[tuple[str, int], list[InvoiceLine]] = {}
    for line in lines:
        groups.setdefault((line.tax_category, line.tax_basis_points), []).append(line)
    return list(groups.values())


def _breakdown(invoice: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    net, tax = sum(line.net_minor for line in lines), sum(line.tax_minor for line in lines)
    sums = {"BT-116": plain(Money(net, invoice.currency)), "BT-117": plain(Money(tax, invoice.currency))}
    return sums | _tax(lines[0], "BT-118", "BT-119") | _reason(invoice, lines[0])


def _discount(line: InvoiceLine, currency: str) -> dict[str, Any]:
    if not line.discount_minor:
        return {}
    amount = plain(Money(line.discount_minor, currency))
    return {"BG-27": [{"amount": amount, "reason": "Discount", "reason_code": DISCOUNT}]}


def _preceding(invoice: Invoice) -> dict[str, str]:
    return {"BT-25": invoice.number, "BT-26": invoice.issued_on.isoformat()}


def _tax(line: Any, category: str, rate: str) -> dict[str, str]:
    told = {category: line.tax_category}
    if line.tax_category != TaxCategory.OUTSIDE:  # what is outside has no rate, not even nothing
        told[rate] = f"{line.tax_basis_points // 100}.{line.tax_basis_points % 100:02}"
    return told


def _reason(invoice: Invoice, line: Any) -> dict[str, str]:
    return {} if line.tax_category == TaxCategory.STANDARD else {"BT-120": invoice.mention}


def _party(facts: dict[str, str], category: str, *, is_seller: bool) -> dict[str, str]:
    told = {
        "name": facts["name"],
        # The seller's country stands in for a buyer's that nobody told us; the paper says that it is missing.
        "country_code": facts["country"] or ("FR" if is_seller else "ZZ"),
        "addr_l1": facts.get("address", ""),
        "postcode": facts.get("postcode", ""),
        "city": facts.get("city", ""),
        "legal_identifier": facts.get("legal_id", ""),
    }
    if category != TaxCategory.OUTSIDE:  # BR-O-2: no VAT number stands on what is outside the scope
        told["vat_identifier"] = facts.get("vat_number", "")
    return {name: value for name, value in told.items() if value}
