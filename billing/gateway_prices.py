"""The prices of plans at a gateway that renews by itself: a version of ours is a price there, under its own key."""

from billing import calling, errors, gateway_tax
from billing.gateways import registry
from billing.gateways.subscribing import Interval, KeepsCatalogue, PriceRequest, ProductRequest
from billing.models import GatewayPrice, Plan, PlanPrice

CATALOGUE = "catalogue"  # the name under which a product there remembers which file it came from


def product_id(code: str) -> str:
    return f"plan_{code}"


def product(plan: Plan) -> ProductRequest:
    return ProductRequest(
        id=product_id(plan.code),
        name=plan.name_en,
        description=plan.description_en,
        metadata={CATALOGUE: plan.catalogue},
    )


def price(row: PlanPrice, *, reckons_tax: bool) -> PriceRequest:
    return PriceRequest(
        lookup_key=f"plan:{row.plan.code}:{row.pk}",
        product=product_id(row.plan.code),
        amount=row.money,
        interval=Interval(row.interval),
        tax_behavior=gateway_tax.behavior(row.plan.catalogue).value if reckons_tax else "unspecified",
    )


def price_at(gateway: str, row: PlanPrice) -> str:
    """The gateway's id of a price, made there when it is first needed."""
    if gateway_tax.is_lost(row.plan.catalogue, reckons_tax=registry.get(gateway).capabilities.reckons_tax):
        raise errors.TaxNotAdded(row.plan.catalogue, gateway)
    known = GatewayPrice.objects.filter(price=row, gateway=gateway).first()
    if known is not None:
        return known.gateway_id
    adapter = registry.get(gateway)
    assert isinstance(adapter, KeepsCatalogue)  # noqa: S101 - a gateway that renews keeps what it renews
    calling.call(gateway, "product", lambda: adapter.put_product(product(row.plan)))
    made = calling.call(
        gateway, "price", lambda: adapter.put_price(price(row, reckons_tax=adapter.capabilities.reckons_tax))
    )
    GatewayPrice.objects.bulk_create(
        [GatewayPrice(price=row, gateway=gateway, gateway_id=made.id)], ignore_conflicts=True
    )
    return made.id
