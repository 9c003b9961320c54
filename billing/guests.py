"""Buying a pack without an account, where GUEST_CHECKOUT allows it.

An address that somebody types proves nothing about who they are. So each purchase has a customer of its own, who shares
nothing with any other, and letters go to the address only once something is paid.
"""

from uuid import uuid4

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction

from billing import checkout, persons
from billing.checkout import Wishes
from billing.models import Customer, Payment
from billing.pricing import Purchase
from events import preferences
from events.models import Topic
from rest.idempotency import Claim

PREFIX = "guest-"


def start(*, email: str, locale: str, purchase: Purchase, wishes: Wishes, claim: Claim) -> Payment:
    """Begin the payment of a guest; one that is refused leaves no customer behind."""
    user = _made(email, locale)
    try:
        return checkout.start(user=user, purchase=purchase, wishes=wishes, claim=claim)
    except Exception:
        _forget(user)
        raise


def is_guest(user: User) -> bool:
    return user.get_username().startswith(PREFIX) and not user.has_usable_password()


def page_of(payment: Payment) -> str:
    """Where a guest sees what becomes of it. The id is the credential: they and their gateway alone have it."""
    return f"{settings.BASE_URL}/?payment={payment.pk}"


@transaction.atomic
def _made(email: str, locale: str) -> User:
    # Not on the account itself: by its address a password could be asked for, and an account be signed in to.
    user = User.objects.create(username=f"{PREFIX}{uuid4().hex}", password=make_password(None))
    # The country comes with the payment, so that it is known for what it is: said at a checkout.
    Customer.objects.create(user=user, email=email, locale=locale, person=persons.key_of(email))
    preferences.change(user, {Topic.PAYMENT_PROBLEMS: False})
    return user


@transaction.atomic
def _forget(user: User) -> None:
    if not Payment.objects.of(user).exists():
        Customer.objects.filter(user=user).delete()
        user.delete()
