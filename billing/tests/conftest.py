"""Gateways that a test plays with, in the place of the real ones."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.gateways import registry
from billing.models import GatewaySetting
from billing.tests import shop
from billing.tests.fakes import CapturingGateway, ChargingGateway, FakeGateway, RefundingGateway
from credits import usage


@pytest.fixture
def gateways(db, monkeypatch, settings) -> Iterator[dict[str, FakeGateway]]:
    """Stripe, PayPal and CinetPay as fakes: one can do everything, one captures, one can neither cancel nor refund."""
    fakes: dict[str, FakeGateway] = {
        "stripe": RefundingGateway("stripe"),
        "paypal": CapturingGateway("paypal", cancel=False, refund=False),
        "cinetpay": FakeGateway("cinetpay", cancel=False, refund=False, partial_refund=False),
    }
    monkeypatch.setattr(registry, "NAMES", tuple(fakes))
    monkeypatch.setattr(registry, "BUILDERS", {name: (lambda fake=fake: fake) for name, fake in fakes.items()})
    settings.GATEWAY_TRIES = 1  # a second try would wait
    registry.forget()
    for priority, name in enumerate(fakes):
        GatewaySetting.objects.create(name=name, priority=priority)
    yield fakes
    registry.forget()


@pytest.fixture
def stripe(gateways: dict[str, Any]) -> RefundingGateway:
    found: RefundingGateway = gateways["stripe"]
    return found


@pytest.fixture
def paypal(gateways: dict[str, Any]) -> CapturingGateway:
    found: CapturingGateway = gateways["paypal"]
    return found


@pytest.fixture
def charging(gateways: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ChargingGateway:
    fake = ChargingGateway("stripe")
    monkeypatch.setitem(registry.BUILDERS, "stripe", lambda: fake)
    registry.forget()
    return fake


@pytest.fixture
def ann(charging: ChargingGateway) -> User:
    """She has kept a card while she bought a pack, and has used up what she bought."""
    user = shop.make_user()
    shop.paid(charging, user, save_method=True)
    usage.spend(user=user, key="all", amount=275)
    charging.asked.clear()
    return user
