"""What the lists of billing are searched and filtered by."""

from django.http import HttpRequest

from billing.gateways import registry
from billing.models import Plan, PlanPrice, TaxRate
from credits.models import PackPrice
from ledger import accounts, money
from ledger.models import Entry, EntryKey
from rest.links import Link, to_list
from rest.lists import Choices, among, named

# What gateways call a payment, a refund, a payout: the names under which `gateway_ids` keep it.
IDS = (
    "session", "payment_intent", "charge", "order", "capture", "transaction", "pay_token", "invoice", "subscription",
    "setup_intent", "customer", "refund", "dispute", "batch", "item", "transfer", "payout",
)  # fmt: skip


def gateways() -> Choices:
    return named(registry.NAMES)


def currencies() -> Choices:
    """Those of the prices, and those in which the house was ever paid."""
    priced = {*PackPrice.objects.values_list("currency", flat=True).distinct()}
    priced |= {*PlanPrice.objects.values_list("currency", flat=True).distinct()}
    return named(priced | set(filter(money.is_currency, accounts.units_of_the_house())))


def catalogues() -> Choices:
    return named(Plan.objects.values_list("catalogue", flat=True).distinct())


def countries() -> Choices:
    """Those with a tax rate, and those that a gateway is made for; all of the world would be a page of them."""
    taxed = set(TaxRate.objects.values_list("country", flat=True).distinct())
    return named(taxed.union(*(gateway.capabilities.countries for gateway in registry.all().values())))


def in_the_books(request: HttpRequest, *keys: str) -> list[Link]:
    """What was booked under these keys and under those that begin so; nothing where nothing was."""
    booked = [key for key in keys if EntryKey.objects.filter(key__startswith=key).exists()]
    return [link for key in booked for link in to_list(request, Entry, key, q=key)]


of_gateway = among(gateways)
of_currency = among(currencies)
of_catalogue = among(catalogues)
