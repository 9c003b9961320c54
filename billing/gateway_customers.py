"""Who a customer is at a gateway: one customer there for each of ours, made before anything is kept for them."""

from django.contrib.auth.models import User

from billing import calling, customers
from billing.gateways import registry
from billing.gateways.base import Buyer
from billing.gateways.errors import Unavailable, Uncertain
from billing.gateways.subscribing import KeepsMethods
from billing.models import GatewayCustomer


def known(user: User, gateway: str) -> str:
    """Their id there; empty while it knows nobody."""
    return GatewayCustomer.objects.filter(user=user, gateway=gateway).values_list("gateway_id", flat=True).first() or ""


def learn(*, user: User, gateway: str, gateway_id: str) -> None:
    """From what it tells. The first one stays: cards hang on it."""
    if gateway_id:
        told = GatewayCustomer(user=user, gateway=gateway, gateway_id=gateway_id)
        GatewayCustomer.objects.bulk_create([told], ignore_conflicts=True)


def is_theirs(*, user: User, gateway: str, gateway_id: str) -> bool:
    """Whether a card of that customer there can be charged as theirs."""
    return bool(gateway_id) and known(user, gateway) == gateway_id


def buyer(user: User, gateway: str) -> Buyer:
    customer = customers.get(user)
    return Buyer(
        id=user.get_username(),
        name=customer.company or customer.name,
        email=customer.email,
        phone="",
        country=customer.country,
        locale=customer.locale,
        gateway_customer=known(user, gateway),
    )


def make_known(*, user: User, gateway: str, reference: str) -> None:
    """Before a page or an intent that saves a card: one that the gateway makes up by itself may be a second customer,
    and a card without any is nobody's. No transaction is open."""
    found, adapter = buyer(user, gateway), registry.get(gateway)
    if found.gateway_customer or not isinstance(adapter, KeepsMethods):
        return
    try:
        made = calling.call(
            gateway,
            "customer",
            lambda: adapter.create_customer(buyer=found, reference=reference),
            is_new_attempt=True,
        )
    except Uncertain as doubt:
        # A customer too many there is harmless; and what they were needed for has surely not begun.
        raise Unavailable(str(doubt), gateway=gateway, category=doubt.category, code=doubt.code) from doubt
    learn(user=user, gateway=gateway, gateway_id=made)  # not where a rival was faster
