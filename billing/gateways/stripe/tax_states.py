"""What Stripe Tax says in a session or an invoice, in our words. Pure."""

from decimal import Decimal

from billing.gateways.stripe.client import Fields, part
from billing.gateways.stripe.currencies import from_wire, from_wire_or_none
from billing.gateways.tax_figures import TaxFigures, TaxReason

BREAKDOWN = "total_details.breakdown"  # stands only in an answer that asked for it
EXEMPT = {"customer_exempt", "product_exempt", "product_exempt_holiday", "zero_rated"}
# A country's own numbers of companies have other names.
VAT_NUMBERS = ("eu_vat", "gb_vat")


def of_session(session: Fields) -> TaxFigures | None:
    """None where no tax was asked for, and where the buyer has not said yet where they are."""
    automatic, totals = part(session.get("automatic_tax")), part(session.get("total_details"))
    tax = from_wire_or_none(totals.get("amount_tax"), session.get("currency"))
    if automatic.get("enabled") is not True or automatic.get("status") != "complete" or tax is None:
        return None
    taxes: list[Fields] = part(totals.get("breakdown")).get("taxes") or []
    rates = [part(each.get("rate")) for each in taxes if each.get("amount")]
    buyer = part(session.get("customer_details"))
    return TaxFigures(
        tax=tax,
        reason=_reason(tax.minor, taxes),
        basis_points=sum(_basis_points(rate) for rate in rates),
        is_added=any(rate.get("inclusive") is False for rate in rates),
        country=_country(buyer.get("address")),
        vat_number=_vat_number(buyer.get("tax_ids")),
    )


def of_invoice(invoice: Fields) -> TaxFigures | None:
    """An invoice names its rates by their ids alone; with what they made the rate is known all the same."""
    taxes: list[Fields] = invoice.get("total_taxes") or []
    if not taxes and part(invoice.get("automatic_tax")).get("enabled") is not True:
        return None
    tax = from_wire(sum(int(each.get("amount") or 0) for each in taxes), invoice.get("currency"))
    return TaxFigures(
        tax=tax,
        reason=_reason(tax.minor, taxes),
        is_added=any(each.get("tax_behavior") == "exclusive" and each.get("amount") for each in taxes),
        country=_country(invoice.get("customer_address")),
        vat_number=_vat_number(invoice.get("customer_tax_ids")),
    )


def _reason(tax_minor: int, taxes: list[Fields]) -> TaxReason:
    if tax_minor:
        return TaxReason.TAXED
    reasons = {each.get("taxability_reason") for each in taxes}
    if "reverse_charge" in reasons:
        return TaxReason.REVERSE_CHARGE
    return TaxReason.EXEMPT if reasons & EXEMPT else TaxReason.NOT_DUE


def _basis_points(rate: Fields) -> int:
    """Of 19 or 5.5 percent; where Stripe gives a nominal and an effective one, the latter made the tax."""
    said = rate.get("effective_percentage")
    return round(Decimal(str(rate.get("percentage") if said is None else said)) * 100)


def _country(address: object) -> str:
    return str(part(address).get("country") or "")


def _vat_number(numbers: object) -> str:
    found = [part(each) for each in numbers] if isinstance(numbers, list) else []
    return next((str(each.get("value") or "") for each in found if each.get("type") in VAT_NUMBERS), "")
