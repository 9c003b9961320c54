"""The cards and wallets that gateways keep for customers who asked for it."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction

from billing import errors
from billing.gateways.base import SavedMethod as Told
from billing.models import SavedMethod, TopUp
from billing.models.top_ups import ANOTHER_CARD_MENDS

SALT = "billing.methods"


@transaction.atomic
def remember(*, user: User, gateway: str, method: Told) -> SavedMethod:
    """Write down a method that may be charged later. A new one gives a top-up that cards stopped another chance: behind
    the lock, so that an old card's last decline is noted before it, or is seen to be an old card's.

    One that its owner has removed stays removed: what is told of its old payments does not bring it back.
    """
    lock(user)
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


def lock(user: User) -> None:
    """What every act on a customer's cards, consents and charges does first: there may be no row of theirs yet."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def latest(user: User) -> SavedMethod | None:
    """The one that is charged."""
    return SavedMethod.objects.of(user).first()


def find(user: User, number: int) -> SavedMethod:
    """The one of theirs that is saved under this id."""
    found = SavedMethod.objects.of(user).filter(pk=number).first()
    if found is None:
        raise errors.UnknownMethod
    return found


def _forget_declines(user: User) -> None:
    rows = TopUp.objects.filter(user=user)
    rows.update(declines=0, next_try_at=None)
    rows.filter(suspended_for__in=ANOTHER_CARD_MENDS).update(suspended_at=None, suspended_for="")


# ---------------------------------------------------------------- where the customer looks after them


def page_url(user: User) -> str:
    """The page behind the link in a letter; the signed link is the whole credential, for as long as a letter is new."""
    return f"{settings.BASE_URL}/payment-methods/{signing.dumps(user.pk, salt=SALT)}"


def user_of(token: str) -> User | None:
    try:
        known = signing.loads(token, salt=SALT, max_age=timedelta(days=settings.METHOD_PAGE_DAYS))
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=known, is_active=True).first()
