"""Plans and subscribers for tests: Premium and Elite of the companions, and a clock to travel by."""

from datetime import UTC, datetime, timedelta
from typing import Any

import factory
from django.contrib.auth.models import User
from django.utils import timezone
from factory.django import DjangoModelFactory

from billing import asking, dunning, plans, subscriptions
from billing.checkout import Wishes
from billing.gateways.base import PaymentState
from billing.models import Customer, Payment, Plan, PlanPrice, Subscription
from billing.subscriptions import Begun
from billing.tests import shop
from credits import calendar
from credits.tests.factories import make_rule
from rest.tests.factories import UserFactory

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday


def make_plans() -> None:
    """Premium gives 500 a week for 9.99 € a month or 99.90 € a year; Elite is without limit for 19.99 €."""
    make_rule(catalogue="companions", catch_up="all")
    premium = {"active_companions": 3, "hd_photos": True}
    elite = {"active_companions": "unlimited", "video": True}
    make_plan("premium", {"month": 999, "year": 9_990}, grant_rules=["premium-weekly"], entitlements=premium)
    make_plan("elite", {"month": 1_999}, is_unlimited=True, entitlements=elite)


class PlanFactory(DjangoModelFactory[Plan]):
    class Meta:
        model = Plan

    catalogue = "companions"
    name_en = factory.LazyAttribute(lambda plan: plan.code.title())


class PlanPriceFactory(DjangoModelFactory[PlanPrice]):
    class Meta:
        model = PlanPrice

    currency = "EUR"
    valid_from = BEGIN - timedelta(days=1)


class CustomerFactory(DjangoModelFactory[Customer]):
    class Meta:
        model = Customer

    user = factory.SubFactory(UserFactory)
    time_zone = "Europe/Paris"
    country = "FR"


def make_plan(code: str, prices: dict[str, int], **changes: Any) -> Plan:
    plan = PlanFactory.create(code=code, **changes)
    for interval, amount_minor in prices.items():
        PlanPriceFactory.create(plan=plan, interval=interval, amount_minor=amount_minor)
    return plan


def make_user(time_zone: str = "Europe/Paris") -> User:
    return CustomerFactory.create(time_zone=time_zone).user


def price(code: str, interval: str = "month") -> PlanPrice:
    return plans.price_of(plans.find(code), "EUR", interval)


def begin(user: User, code: str = "premium", interval: str = "month", gateway: str = "paypal") -> Begun:
    return subscriptions.start(user=user, price=price(code, interval), wishes=Wishes(gateways=(gateway,)))


def pay(gateway: Any, payment: Payment | None) -> Payment:
    """The buyer pays it, and the gateway is asked."""
    assert payment is not None
    attempt = payment.attempts.select_related("payment").last()
    assert attempt is not None
    gateway.pays(attempt.reference)
    asking.ask(attempt)
    return Payment.objects.get(pk=payment.pk)


def subscribed(gateway: Any, user: User | None = None, code: str = "premium", interval: str = "month") -> Subscription:
    """One whose first period is paid, with the credits that are due already."""
    begun = begin(user or make_user(), code, interval, gateway.name)
    pay(gateway, begun.payment)
    calendar.grant_due(at=timezone.now())
    return fresh(begun.subscription)


def end_of(subscription: Subscription) -> datetime:
    return dunning.paid_until(fresh(subscription))


def fails(gateway: Any, payment: Payment | None) -> Payment:
    """The buyer's bank says no, and the gateway is asked."""
    assert payment is not None
    gateway.becomes(PaymentState.FAILED, payment.attempts.get().reference)
    return shop.told(payment)


def fresh(subscription: Subscription) -> Subscription:
    return Subscription.objects.select_related("price__plan", "next_price__plan", "user").get(pk=subscription.pk)
