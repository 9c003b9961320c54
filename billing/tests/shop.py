"""A buyer, a pack and a checkout for tests, with one sensible value for all that a test does not care about."""

from typing import Any

from django.contrib.auth.models import User

from billing import asking, checkout, pricing
from billing.checkout import Wishes
from billing.models import Payment
from credits import balances
from credits.models import Pack, PackPrice
from credits.tests.factories import PackFactory, PackPriceFactory
from rest.tests.factories import UserFactory


class MediumFactory(PackFactory):
    code = "medium"
    catalogue = "companion-tokens"
    name_en = "Pack Medium"
    credits = 250
    bonus = 25


def make_user() -> User:
    return UserFactory.create()


def make_pack(**changes: Any) -> Pack:
    """Pack Medium: 250 tokens and 25 for nothing, for 9.99 € or 6 500 francs."""
    pack = MediumFactory.create(**changes)
    for currency, amount_minor in (("EUR", 999), ("XOF", 6_500)):
        make_price(pack, currency, amount_minor)
    return pack


def buy(user: User | None = None, *, currency: str = "EUR", **wishes: Any) -> Payment:
    """A checkout of Pack Medium, brought to a gateway."""
    if not Pack.objects.filter(code="medium").exists():
        make_pack()
    purchase = pricing.pack("medium", currency, "en")
    return checkout.start(user=user or make_user(), purchase=purchase, wishes=Wishes(**wishes))


def paid(gateway: Any, user: User | None = None, **wishes: Any) -> Payment:
    """The same, paid at its gateway and told to us."""
    payment = buy(user, gateways=[gateway.name], **wishes)
    gateway.pays(payment.attempts.get().reference)
    return told(payment)


def told(payment: Payment) -> Payment:
    """What the gateway knows of it now, written down."""
    attempt = payment.attempts.select_related("payment").last()
    assert attempt is not None
    asking.ask(attempt)
    return Payment.objects.get(pk=payment.pk)


def credits_of(user: User) -> int:
    return balances.of(user).available


def make_price(pack: Pack, currency: str, amount_minor: int) -> PackPrice:
    return PackPriceFactory.create(pack=pack, currency=currency, amount_minor=amount_minor)
