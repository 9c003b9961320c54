"""Sellers, rules and sales for tests, with one sensible value for all that a test does not care about."""

from datetime import UTC, datetime
from typing import Any

import factory
from django.contrib.auth.models import User
from factory.django import DjangoModelFactory

from ledger import accounts
from ledger.models import Account
from ledger.money import Money
from ledger.tests import books
from rest.tests.factories import UserFactory
from wallets import destinations, sales, sellers, take_backs, withdrawals
from wallets.models import CommissionRule, Sale, SaleType, SellerKind, TakeBack, Wallet, Withdrawal
from wallets.sales import Line

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2090, 1, 1, tzinfo=UTC)
PAYPAL = destinations.parse(kind="paypal", value="ann@example.com")
MTN = destinations.parse(kind="mobile_money", value="+2250555000000", operator="MTN")


class SaleTypeFactory(DjangoModelFactory[SaleType]):
    class Meta:
        model = SaleType
        django_get_or_create = ("code",)

    code = "ticket_sale"
    label_en = "Ticket"
    label_fr = "Billet"


class SellerKindFactory(DjangoModelFactory[SellerKind]):
    class Meta:
        model = SellerKind
        django_get_or_create = ("code",)

    code = "organizer"
    label_en = "Organizer"


class CommissionRuleFactory(DjangoModelFactory[CommissionRule]):
    class Meta:
        model = CommissionRule

    code = factory.Sequence("rule-{}".format)
    basis_points = 1_000
    valid_from = LONG_AGO


def make_user(name: str = "seller", **changes: Any) -> User:
    return UserFactory.create(username=factory.Sequence((name + "-{}").format), **changes)


def make_type(code: str = "ticket_sale", **changes: Any) -> SaleType:
    return SaleTypeFactory.create(code=code, **changes)


def make_kind(code: str = "organizer") -> SellerKind:
    return SellerKindFactory.create(code=code)


def make_rule(**changes: Any) -> CommissionRule:
    return CommissionRuleFactory.create(**changes)


def sell(user: User, minor: int, currency: str = "EUR", **changes: Any) -> Sale:
    """A paid sale; `type` must be there."""
    known: dict[str, Any] = {"type": make_type().code, "reference": "order-1"}
    whole: dict[str, Any] = {"key": books.new_key("payment"), "gateway": "stripe"}
    whole |= {name: changes.pop(name) for name in ("key", "gateway", "fee", "at") if name in changes}
    line = Line(seller=user, amount=Money(minor, currency), **known | changes)
    (sale,) = sales.record(**whole, lines=[line])
    return sale


def sell_cleared(user: User, minor: int, currency: str = "EUR", **changes: Any) -> Sale:
    sale = sell(user, minor, currency, **changes)
    sales.release_due(FAR_AWAY)
    sale.refresh_from_db()
    return sale


def give_back(sale: Sale, key: str, **changes: Any) -> TakeBack:
    """A refund from its beginning to its end."""
    return take_backs.settle(take_back=take_backs.hold(sale=sale, key=key, **changes))


def wallet_of(user: User, currency: str = "EUR") -> Wallet:
    return sellers.open(user, currency)


def ask(user: User, minor: int, currency: str = "EUR", **changes: Any) -> Withdrawal:
    known: dict[str, Any] = {"destination": PAYPAL, "key": books.new_key("wish")}
    return withdrawals.request(user=user, amount=Money(minor, currency), **known | changes)


def withdraw(user: User, minor: int) -> None:
    """The seller has been paid, as billing's payout sweep does it."""
    withdrawal = withdrawals.approve(withdrawal=ask(user, minor), by=make_user("operator"))
    assert withdrawals.mark_sending(withdrawal=withdrawal, gateway="paypal")
    withdrawals.mark_paid(withdrawal=withdrawal)


def parts(user: User, currency: str = "EUR") -> dict[str, int]:
    """What a wallet's four accounts hold, held or not."""
    return {part: books.on(f"wallet:{user.pk}:{currency}:{part}") for part in sellers.PARTS}


def available(user: User, currency: str = "EUR") -> int:
    return books.available(wallet_of(user, currency).available).minor


def everything() -> dict[str, int]:
    """Every account with something on it, by its name."""
    found = {account.name: accounts.balance_of(account).minor for account in Account.objects.order_by("name")}
    return {name: minor for name, minor in found.items() if minor}
