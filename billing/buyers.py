"""Customers as a gateway is told of them, and as it knows them: by an id of its own, the first that it gave."""

from django.contrib.auth.models import User

from billing.gateways.base import Buyer
from billing.models import Customer, GatewayCustomer, Payment


def id_at(gateway: str, user: User) -> str:
    """Empty: it does not know them yet."""
    return GatewayCustomer.objects.filter(user=user, gateway=gateway).values_list("gateway_id", flat=True).first() or ""


def remember(*, user: User, gateway: str, gateway_id: str) -> None:
    known = GatewayCustomer(user=user, gateway=gateway, gateway_id=gateway_id)
    GatewayCustomer.objects.bulk_create([known], ignore_conflicts=True)


def of(customer: Customer, gateway: str, payment: Payment | None = None) -> Buyer:
    """Who pays; a payment has the telephone that was told for it, and the country of that day."""
    return Buyer(
        id=customer.user.get_username(),
        name=customer.company or customer.name,
        email=customer.email,
        phone=payment.phone if payment else "",
        country=payment.country if payment else customer.country,
        locale=customer.locale,
        gateway_customer=id_at(gateway, customer.user),
    )
