"""Tax that a gateway calculates for us, where it is set to: what we ask of it, and its figures in place of ours.

The tax table's figures stand until the buyer has paid: they are what the payment shows meanwhile, and what every
gateway that reckons none is asked for.
"""

from dataclasses import replace

from django.conf import settings

from billing import taxing
from billing.gateways.base import Flow, PaymentResult
from billing.gateways.tax_figures import TaxBehavior, TaxFigures, TaxReason
from billing.models import Attempt, Payment
from billing.models.invoices import TaxCategory
from billing.models.payments import PaymentKind, PaymentStatus
from billing.taxing import Treatment
from ledger.money import Money

# An invoice that stands says its tax already, and of what a seller of a marketplace sells the tax is theirs.
KINDS = (PaymentKind.PACK, PaymentKind.PLAN, PaymentKind.AMOUNT)
EXEMPT = "Exonéré de TVA / Exempt from VAT"


def behavior(catalogue: str) -> TaxBehavior:
    return TaxBehavior.EXCLUSIVE if catalogue in settings.TAX_EXCLUSIVE_CATALOGUES else TaxBehavior.INCLUSIVE


def is_lost(catalogue: str, *, reckons_tax: bool) -> bool:
    """Prices before tax that a gateway renews by itself: nobody would add the tax that is due."""
    is_due = settings.TAX_SCHEME == "standard" and catalogue in settings.TAX_EXCLUSIVE_CATALOGUES
    return is_due and not reckons_tax


def asked(payment: Payment, flow: Flow) -> TaxBehavior | None:
    """What of tax a gateway that can is asked for. Its page only: nothing else asks the buyer where they are."""
    ours = payment.details.get("tax", {})
    if flow is not Flow.REDIRECT or payment.kind not in KINDS or ours.get("at_use"):
        return None
    return TaxBehavior.EXCLUSIVE if ours.get("is_added") else TaxBehavior.INCLUSIVE


def price(payment: Payment) -> Money:
    """What is named to the gateway: the price, to which it adds the tax where ours do not contain it."""
    return payment.money - payment.tax if payment.details.get("tax", {}).get("is_added") else payment.money


def agrees(payment: Payment, result: PaymentResult) -> bool:
    """Whether what came is what was asked for, with the gateway's tax where it reckoned it.

    Once a payment is paid its amount stands, and another one that comes must be the same.
    """
    figures = result.tax
    if figures is None or payment.kind not in KINDS or payment.status == PaymentStatus.SUCCEEDED:
        return result.amount == payment.money
    is_added = payment.details.get("tax", {}).get("is_added")
    wanted = price(payment) + figures.tax if is_added else payment.money
    return result.amount == wanted and figures.tax <= wanted


def take_over(payment: Payment, attempt: Attempt, result: PaymentResult) -> None:
    """The gateway's figures, in the transaction that notes the money; invoice, books and refunds follow them."""
    if result.tax is None or result.amount is None or payment.kind not in KINDS:
        return
    is_added = bool(payment.details.get("tax", {}).get("is_added"))
    figures = replace(result.tax, is_added=is_added)  # what is free of tax does not say it
    payment.amount_minor, payment.tax_minor = result.amount.minor, figures.tax.minor
    payment.details = payment.details | details(figures, gross=result.amount, gateway=attempt.gateway)
    payment.save(update_fields=["amount_minor", "tax_minor", "details"])


def details(figures: TaxFigures, *, gross: Money, gateway: str) -> dict[str, object]:
    """As they are frozen with a payment."""
    told: dict[str, object] = treatment(figures, gross).as_json()
    told |= {"minor": figures.tax.minor, "by": gateway}
    told |= {"is_added": True} if figures.is_added else {}
    return {"tax": told | ({"vat_number": figures.vat_number} if figures.vat_number else {})}


def treatment(figures: TaxFigures, gross: Money) -> Treatment:
    country = figures.country
    match figures.reason:
        case TaxReason.TAXED if figures.basis_points:
            return Treatment(category=TaxCategory.STANDARD, basis_points=figures.basis_points, country=country)
        case TaxReason.TAXED:
            return replace(taxing.read_back(gross, figures.tax, country), country=country)
        case TaxReason.REVERSE_CHARGE:
            mention = taxing.REVERSE_CHARGE
            return Treatment(category=TaxCategory.REVERSE_CHARGE, country=country, mention=mention)
        case TaxReason.EXEMPT:
            return Treatment(category=TaxCategory.EXEMPT, country=country, mention=EXEMPT)
        case TaxReason.NOT_DUE:
            return replace(taxing.untaxed(), country=country)
