"""Gateways that a test plays with, in the place of the real ones."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.gateways import registry
from billing.models import GatewaySetting
from billing.tests.fakes import CapturingGateway, FakeGateway, RefundingGateway


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
