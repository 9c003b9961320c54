"""A customer takes a saved card out: what that stops is said before, and its gateway forgets it too."""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing import calling, errors, top_up
from billing import gateway_subscriptions as renewing
from billing.gateways import registry
from billing.gateways.errors import GatewayError
from billing.gateways.subscribing import KeepsMethods
from billing.models import SavedMethod, Subscription, TopUp
from billing.models.top_ups import Suspension
from rest import sweeps

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What the removal of a method does besides. Without a top-up that is charged to it, nothing."""

    top_up: TopUp | None = None
    goes_on_with: SavedMethod | None = None  # what the top-up is charged to from then on; none: it stops

    @property
    def stops_top_up(self) -> bool:
        return self.top_up is not None and self.goes_on_with is None


def preview(method: SavedMethod) -> Removal:
    mine = list(SavedMethod.objects.of(method.user)[:2])
    standing = TopUp.objects.running().select_related("pack").filter(user=method.user_id).first()
    if standing is None or not mine or mine[0].pk != method.pk:
        return Removal()  # only what was kept last is charged
    return Removal(top_up=standing, goes_on_with=mine[1] if len(mine) > 1 else None)


def remove(*, method: SavedMethod) -> Removal:
    """Nothing is charged to it from now on. A charge that its gateway has already is finished."""
    _refuse_if_it_pays_a_plan(method)
    removal = _take_out(method)
    _forget(method)
    return removal


def _refuse_if_it_pays_a_plan(method: SavedMethod) -> None:
    """Forgotten by a gateway that renews a plan with it, it would make the plan's next payment fail."""
    live = Subscription.objects.of(method.user).live().filter(gateway=method.gateway, gateway_id__isnull=False)
    for subscription in live:
        if renewing.method_of(subscription) == method.gateway_id:
            raise errors.MethodPaysPlan(subscription.price.plan.code)


@transaction.atomic(durable=True)
def _take_out(method: SavedMethod) -> Removal:
    top_up.lock_consents(method.user)
    removal = preview(method)
    if not SavedMethod.objects.kept().filter(pk=method.pk).update(removed_at=timezone.now()):
        raise errors.NotYours
    if removal.top_up is not None and removal.stops_top_up:
        top_up.suspend(removal.top_up, Suspension.CARD_REMOVED)
    return removal


def _forget(method: SavedMethod) -> None:
    """At its gateway; what fails now, the sweep does."""
    try:
        adapter = registry.get(method.gateway)
        if isinstance(adapter, KeepsMethods):
            calling.call(method.gateway, "forget", lambda: adapter.forget_method(method=method.gateway_id))
    except (GatewayError, registry.UnknownGateway) as error:
        logger.info("saved_method.not_forgotten", extra={"method": method.pk, "why": type(error).__name__})
        return
    SavedMethod.objects.to_forget().filter(pk=method.pk).update(forgotten_at=timezone.now())


def forget_removed() -> int:
    """The sweep; returns how many there were."""
    found = list(SavedMethod.objects.to_forget().order_by("removed_at")[: settings.PAYMENT_SWEEP_BATCH])
    for method in found:
        with sweeps.alone("saved_method.not_looked_at", method=str(method.pk)):
            _forget(method)
    return len(found)
