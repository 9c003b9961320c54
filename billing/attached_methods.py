"""Cards that customers add on a gateway's own pages: they are saved here where a top-up of theirs waits for one.

Else a gateway's cards are none of our business: those that pay a plan stay with it.
"""

from collections.abc import Mapping

from billing import calling, saved_methods
from billing.gateways import registry
from billing.gateways.subscribing import KeepsMethods
from billing.models import GatewayCustomer, TopUp
from billing.models.top_ups import ANOTHER_CARD_MENDS


def hear(*, gateway: str, ids: Mapping[str, str]) -> bool:
    """Whether somebody waited for it. The gateway is asked whose it is by now, and what its owner has agreed to."""
    adapter, known = registry.get(gateway), ids.get("payment_method", "")
    theirs = GatewayCustomer.objects.filter(gateway=gateway, gateway_id=ids.get("customer", "")).select_related("user")
    owner = theirs.first()
    if owner is None or not known or not isinstance(adapter, KeepsMethods):
        return False
    if not TopUp.objects.agreed().filter(user=owner.user, suspended_for__in=ANOTHER_CARD_MENDS).exists():
        return False
    found = calling.call(gateway, "fetch_method", lambda: adapter.fetch_method(method=known))
    if found is None or found.customer != owner.gateway_id or found.is_for_one_purpose:
        return False
    saved_methods.remember(user=owner.user, gateway=gateway, method=found.method)
    return True
