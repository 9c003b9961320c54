"""Which tax a sale bears: decided once, when it is bought, and frozen with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from stdnum.eu import vat

from billing import errors, seller_days, vat_numbers
from billing.models import Customer, TaxRate
from billing.models.invoices import TaxCategory
from ledger.money import BASIS_POINTS, Money

FRANCHISE = "TVA non applicable, art. 293 B du CGI"
REVERSE_CHARGE = "Autoliquidation / Reverse charge, art. 196 directive 2006/112/CE"
OUTSIDE = "Hors champ de la TVA / Outside the scope of VAT"
AT_USE = (
    "Bon à usages multiples, TVA due à l'utilisation / Multi-purpose voucher, VAT due when it is used, "
    "art. 30 ter directive 2006/112/CE"
)

TAXED_AS = {"MC": "FR"}  # art. 7 directive 2006/112/CE
# French VAT at their own rates, outside the EU's (art. 294 and 296 CGI). Guiana and Mayotte have none for now.
LAND_OF = dict.fromkeys(("GP", "MQ", "RE"), "FR")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a buyer is taxed, and what says so: `profile`, `vat_number` or `checkout`; `nothing`, and then like us."""

    country: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What a payment writes down of its tax: what is to be paid in all, and the tax in it."""

    amount: Money
    tax: Money
    details: dict[str, Any]


def frozen(customer: Customer, price: Money, country: str, *, catalogue: str = "", is_credits: bool = False) -> Frozen:
    """The catalogue says whether its prices contain the tax, or it comes on top, or it waits until credits are used."""
    treatment = decide(customer=customer, country=country, on=seller_days.today())
    more: dict[str, Any] = {}
    if is_credits and catalogue in settings.TAX_AT_USE_CATALOGUES and treatment.category == TaxCategory.STANDARD:
        treatment, more = Treatment(category=TaxCategory.OUTSIDE, mention=AT_USE), {"at_use": True}
        amount, tax = price, Money(0, price.unit)
    elif catalogue in settings.TAX_EXCLUSIVE_CATALOGUES:
        tax, more = price.share(treatment.basis_points), {"is_added": True}
        amount = price + tax
    else:
        amount, tax = price, contained_in(price, treatment.basis_points)
    place = place_of(customer, country)
    more |= {"minor": tax.minor, "buyer_country": place.country, "evidence": place.evidence}
    if treatment.category == TaxCategory.REVERSE_CHARGE:
        more["vat_number"] = customer.vat_number  # for the paper, whatever the profile says by then
    return Frozen(amount=amount, tax=tax, details={"tax": treatment.as_json() | more})


def from_json(told: dict[str, Any]) -> Treatment:
    return Treatment(
        category=TaxCategory(told["category"]),
        basis_points=told["basis_points"],
        country=told["country"],
        mention=told["mention"],
    )


def untaxed() -> Treatment:
    return Treatment(category=TaxCategory.OUTSIDE, mention=OUTSIDE)


def place_of(customer: Customer, told: str) -> Place:
    """By the customer's profile. What a buyer tells at a checkout counts only where that is empty, and only where it
    does not gainsay the VAT number: else naming another country each time would be enough to pay no tax."""
    if customer.country:
        return Place(country=customer.country, evidence="profile")
    if told and vat_numbers.fits(customer.vat_number, told):
        return Place(country=told, evidence="checkout")
    known = vat_numbers.country_of(customer.vat_number)
    return Place(country=known, evidence="vat_number" if known else "nothing")


def decide(*, customer: Customer, country: str, on: date, product: str = "standard") -> Treatment:
    """For what is sold to this customer that day; `country` is what the buyer told, for those without one yet."""
    home = settings.SELLER_COUNTRY
    told = place_of(customer, country).country or home
    seller, buyer = TAXED_AS.get(home, home), TAXED_AS.get(told, told)
    if settings.TAX_SCHEME == "none":
        return untaxed()
    if settings.TAX_SCHEME == "franchise":
        return Treatment(category=TaxCategory.EXEMPT, mention=FRANCHISE)
    if LAND_OF.get(buyer, buyer) == LAND_OF.get(seller, seller):
        return _taxed(buyer, product, on)
    if not (is_in_the_union(seller) and is_in_the_union(buyer)):
        return Treatment(category=TaxCategory.OUTSIDE, country=buyer, mention=OUTSIDE)
    if _is_business_of(buyer, customer.vat_number):
        return Treatment(category=TaxCategory.REVERSE_CHARGE, country=buyer, mention=REVERSE_CHARGE)
    return _taxed(buyer if settings.TAX_ONE_STOP_SHOP else seller, product, on)


def contained_in(gross: Money, basis_points: int) -> Money:
    """The tax within a price that contains it, a half rounded up; the rest is the net price."""
    whole = BASIS_POINTS + basis_points
    return Money((2 * gross.minor * basis_points + whole) // (2 * whole), gross.unit)


def each_in(grosses: Sequence[Money], basis_points: int) -> list[Money]:
    """The tax of each line. Rounded in total, the lines share the tax of their sum and add up to it exactly."""
    if settings.TAX_ROUNDING == "line" or not grosses:
        return [contained_in(gross, basis_points) for gross in grosses]
    whole = Money(sum(gross.minor for gross in grosses), grosses[0].unit)
    return contained_in(whole, basis_points).split([gross.minor for gross in grosses])


def each_on(nets: Sequence[Money], basis_points: int) -> list[Money]:
    """The tax that comes on top of each line, by the same setting."""
    whole = Money(sum(net.minor for net in nets), nets[0].unit)
    if settings.TAX_ROUNDING == "line" or not whole.minor:
        return [net.share(basis_points) for net in nets]
    return whole.share(basis_points).split([net.minor for net in nets])


def read_back(gross: Money, tax: Money, country: str = "") -> Treatment:
    """The treatment that a gateway's own figures tell of: a known rate that makes them, else the nearest. Of a small
    amount several rates make the same tax: those of the buyer's country, and then of ours, come before others."""
    rates = TaxRate.objects.values_list("country", "basis_points").order_by("-basis_points")
    places = [country, settings.SELLER_COUNTRY]
    for _, points in sorted(rates, key=lambda rate: places.index(rate[0]) if rate[0] in places else len(places)):
        if contained_in(gross, points) == tax:
            return Treatment(category=TaxCategory.STANDARD, basis_points=points)
    net = gross.minor - tax.minor
    return Treatment(category=TaxCategory.STANDARD, basis_points=round(tax.minor * BASIS_POINTS / net))


def rate(country: str, product: str, on: date) -> int:
    found = TaxRate.objects.filter(country=country, category=product, valid_from__lte=on).order_by("-valid_from")
    points = found.values_list("basis_points", flat=True).first()
    if points is None:
        raise errors.TaxRateUnknown(country)
    return points


def is_in_the_union(country: str) -> bool:
    return country.lower() in vat.MEMBER_STATES


def _taxed(country: str, product: str, on: date) -> Treatment:
    return Treatment(category=TaxCategory.STANDARD, basis_points=rate(country, product, on), country=country)


def _is_business_of(country: str, vat_number: str) -> bool:
    """By the number's form and check digits, its country, and what VIES has said of it."""
    if not vat_number.startswith(vat_numbers.prefix_of(country)) or not vat.is_valid(vat_number):
        return False
    return not settings.VIES_REQUIRED or vat_numbers.is_confirmed(vat_number)
