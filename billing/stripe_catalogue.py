"""Our catalogues at Stripe: a product for each pack and plan, by an id that never changes, and a price by its key.

A price is never changed there: its key passes to a new one and the old one is archived, so that running subscriptions
keep what they were sold. What left the file is archived too, and nothing is ever deleted. Plans and their prices follow
the rows of the database, since a version there is a price of its own at Stripe: they are seen once the file is seeded.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from django.utils import timezone

from billing import errors, gateway_prices, gateway_tax
from billing.gateway_prices import CATALOGUE
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import PriceRequest, ProductRequest
from billing.models import Plan, PlanPrice
from credits.catalogue_files import Catalogue, Words
from ledger import money
from ledger.money import Money
from rest.seeding import Change


def pack_id(code: str) -> str:
    return f"pack_{code}"


def pack_key(code: str, currency: str) -> str:
    return f"{pack_id(code)}_{currency.lower()}"


def refusals(catalogues: Iterable[Catalogue], stripe: Stripe) -> list[str]:
    """What must not be sold there as it stands, with what to do about it."""
    reckons = stripe.capabilities.reckons_tax
    lost = [each for each in catalogues if each.plans and gateway_tax.is_lost(each.code, reckons_tax=reckons)]
    return [f"{each.file}: {errors.TaxNotAdded(each.code, stripe.name)}" for each in lost]


def differences(catalogue: Catalogue, stripe: Stripe) -> Iterator[Change]:
    """What applying would change at Stripe, without changing it. Currencies that Stripe does not take are left out."""
    wanted = dict(_wanted(catalogue, stripe))
    takes = stripe.capabilities.currencies
    for product, prices in wanted.values():
        yield from _product_change(stripe, product)
        for price in prices:
            if price.amount.unit in takes:
                yield from _price_change(stripe, price)
    yield from _gone(catalogue, stripe, wanted)


def _wanted(catalogue: Catalogue, stripe: Stripe) -> Iterator[tuple[str, tuple[ProductRequest, list[PriceRequest]]]]:
    for code, pack in catalogue.packs.items():
        name = pack_id(code)
        prices = [_price(name, pack_key(code, unit), price) for unit, price in pack.prices.items()]
        yield name, (_product(catalogue, name, pack.name, pack.description), prices)
    plans = Plan.objects.filter(catalogue=catalogue.code, code__in=catalogue.plans, is_active=True)
    valid = PlanPrice.objects.valid_at(timezone.now()).filter(plan__in=plans).select_related("plan")
    for plan in plans.order_by("position"):
        rows = [row for row in valid if row.plan_id == plan.pk and row.is_active]
        prices = [gateway_prices.price(row, reckons_tax=stripe.capabilities.reckons_tax) for row in rows]
        yield gateway_prices.product_id(plan.code), (gateway_prices.product(plan), prices)


def _product(catalogue: Catalogue, name: str, title: Words, description: Words) -> ProductRequest:
    return ProductRequest(id=name, name=title.en, description=description.en, metadata={CATALOGUE: catalogue.code})


def _price(product: str, key: str, amount: Money) -> PriceRequest:
    return PriceRequest(lookup_key=key, product=product, amount=amount)


def _product_change(stripe: Stripe, wanted: ProductRequest) -> Iterator[Change]:
    act = partial(stripe.put_product, wanted)
    different = stripe.differences_of_product(wanted)
    if different is None:
        yield Change(sign="+", text=f"stripe product {wanted.id}: {wanted.name}", act=act)
    elif different:
        yield Change(sign="~", text=f"stripe product {wanted.id}: {', '.join(sorted(different))}", act=act)


def _price_change(stripe: Stripe, wanted: PriceRequest) -> Iterator[Change]:
    act = partial(stripe.put_price, wanted)
    known = stripe.find_price(wanted.lookup_key)
    every = f" a {wanted.interval}" if wanted.interval else ""
    if known is None:
        yield Change(sign="+", text=f"stripe price {wanted.lookup_key}: {wanted.amount}{every}", act=act)
    elif not stripe.has_price(wanted):
        before = money.plain(known.amount) if known.amount.unit == wanted.amount.unit else str(known.amount)
        yield Change(sign="~", text=f"stripe price {wanted.lookup_key}: {before} -> {wanted.amount}{every}", act=act)


def _gone(
    catalogue: Catalogue, stripe: Stripe, wanted: dict[str, tuple[ProductRequest, list[PriceRequest]]]
) -> Iterator[Change]:
    for product in stripe.active_products():
        if product.metadata.get(CATALOGUE) != catalogue.code:
            continue
        keys = {price.lookup_key for price in wanted[product.id][1]} if product.id in wanted else set()
        for price, key in stripe.active_prices(product=product.id):
            if key not in keys:
                act = partial(stripe.archive_price, price=price)
                yield Change(sign="-", text=f"stripe price {key or price}: archived", act=act)
        if product.id not in wanted:
            act = partial(stripe.archive_product, product=product.id)
            yield Change(sign="-", text=f"stripe product {product.id}: archived", act=act)
