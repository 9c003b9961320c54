"""The cards and wallets that gateways keep for customers who asked for it."""

from django.contrib.auth.models import User
from django.db import transaction

from billing.gateways.base import SavedMethod as Told
from billing.models import SavedMethod, TopUp
from billing.models.top_ups import Suspension


@transaction.atomic
def remember(*, user: User, gateway: str, method: Told) -> SavedMethod:
    """Write down a method that may be charged later. A new one gives a top-up that cards stopped another chance."""
    saved, is_new = SavedMethod.objects.get_or_create(
        user=user,
        gateway=gateway,
        gateway_id=method.id,
        defaults={
            "kind": method.kind[:40],
            "brand": method.brand[:40],
            "last4": method.last4[:4],
            "expires": method.expires[:7],
        },
    )
    if is_new:
        _forget_declines(user)
    return saved


def latest(user: User) -> SavedMethod | None:
    """The one that is charged."""
    return SavedMethod.objects.of(user).first()


def _forget_declines(user: User) -> None:
    rows = TopUp.objects.filter(user=user)
    rows.update(declines=0, next_try_at=None)
    rows.filter(suspended_for=Suspension.CARD_DECLINED).update(suspended_at=None, suspended_for="")
