"""Which tax a sale bears: decided once, when it is bought, and frozen with it."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.utils import timezone
from stdnum.eu import vat

from billing import errors
from billing.models import Customer, TaxRate
from billing.models.invoices import TaxCategory
from ledger.money import BASIS_POINTS, Money

FRANCHISE = "TVA non applicable, art. 293 B du CGI"
REVERSE_CHARGE = "Autoliquidation / Reverse charge, art. 196 directive 2006/112/CE"
OUTSIDE = "Hors champ de la TVA / Outside the scope of VAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    category: TaxCategory
    basis_points: int = 0
    country: str = ""
    mention: str = ""  # the law's sentence, in the words that the law wants

    def as_json(self) -> dict[str, Any]:
        return {
            "category": self.category.value,
            "basis_points": self.basis_points,
            "country": self.country,
            "mention": self.mention,
        }


def frozen(customer: Customer, amount: Money, country: str, *, is_ours: bool = True) -> dict[str, Any]:
    """What a payment of this amount writes down of its tax, as its price contains it. Of what a seller of a marketplace
    sells, the tax is theirs."""
    treatment = decide(customer=customer, country=country, on=timezone.localdate()) if is_ours else untaxed()
    return {"tax": treatment.as_json() | {"minor": contained_in(amount, treatment.basis_points).minor}}


def from_json(told: dict[str, Any]) -> Treatment:
    return Treatment(
        category=TaxCategory(told["category"]),
        basis_points=told["basis_points"],
        country=told["country"],
        mention=told["mention"],
    )


def untaxed() -> Treatment:
    return Treatment(category=TaxCategory.OUTSIDE, mention=OUTSIDE)


def decide(*, customer: Customer, country: str, on: date, product: str = "standard") -> Treatment:
    """For what is sold to this customer that day; `country` is where the buyer says to be, else the customer's."""
    seller, buyer = settings.SELLER_COUNTRY, country or customer.country or settings.SELLER_COUNTRY
    if settings.TAX_SCHEME == "none":
        return untaxed()
    if settings.TAX_SCHEME == "franchise":
        return Treatment(category=TaxCategory.EXEMPT, mention=FRANCHISE)
    if buyer == seller:
        return _taxed(seller, product, on)
    if not (is_in_the_union(seller) and is_in_the_union(buyer)):
        return Treatment(category=TaxCategory.OUTSIDE, country=buyer, mention=OUTSIDE)
    if _is_business_of(buyer, customer.vat_number):
        return Treatment(category=TaxCategory.REVERSE_CHARGE, country=buyer, mention=REVERSE_CHARGE)
    return _taxed(buyer if settings.TAX_ONE_STOP_SHOP else seller, product, on)


def contained_in(gross: Money, basis_points: int) -> Money:
    """The tax within a price that contains it, a half rounded up; the rest is the net price."""
    whole = BASIS_POINTS + basis_points
    return Money((2 * gross.minor * basis_points + whole) // (2 * whole), gross.unit)


def read_back(gross: Money, tax: Money) -> Treatment:
    """The treatment that a gateway's own figures tell of: a known rate that makes them, else the nearest."""
    for points in TaxRate.objects.values_list("basis_points", flat=True).order_by("-basis_points").distinct():
        if contained_in(gross, points) == tax:
            return Treatment(category=TaxCategory.STANDARD, basis_points=points)
    net = gross.minor - tax.minor
    return Treatment(category=TaxCategory.STANDARD, basis_points=round(tax.minor * BASIS_POINTS / net))


def rate(country: str, product: str, on: date) -> int:
    found = TaxRate.objects.filter(country=country, category=product, valid_from__lte=on).order_by("-valid_from")
    points = found.values_list("basis_points", flat=True).first()
    if not points:
        raise errors.TaxRateUnknown(country)
    return points


def is_in_the_union(country: str) -> bool:
    return country.lower() in vat.MEMBER_STATES


def _taxed(country: str, product: str, on: date) -> Treatment:
    return Treatment(category=TaxCategory.STANDARD, basis_points=rate(country, product, on), country=country)


def _is_business_of(country: str, vat_number: str) -> bool:
    """By the number's form and check digits, and by its country: Greece writes EL."""
    prefix = "EL" if country == "GR" else country
    return vat_number.startswith(prefix) and bool(vat.is_valid(vat_number))
