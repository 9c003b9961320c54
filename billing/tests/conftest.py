"""Gateways that a test plays with, in the place of the real ones."""

from collections.abc import Iterator

import pytest

from billing.gateways import registry
from billing.tests.fakes import CapturingGateway, FakeGateway, RefundingGateway


@pytest.fixture
def gateways(monkeypatch) -> Iterator[dict[str, FakeGateway]]:
    """Stripe, PayPal and CinetPay as fakes: one can do everything, one captures, one can neither cancel nor refund."""
    fakes: dict[str, FakeGateway] = {
        "stripe": RefundingGateway("stripe"),
        "paypal": CapturingGateway("paypal", cancel=False, refund=False),
        "cinetpay": FakeGateway("cinetpay", cancel=False, refund=False, partial_refund=False),
    }
    monkeypatch.setattr(registry, "NAMES", tuple(fakes))
    monkeypatch.setattr(registry, "BUILDERS", {name: (lambda fake=fake: fake) for name, fake in fakes.items()})
    registry.forget()
    yield fakes
    registry.forget()


@pytest.fixture
def stripe(gateways) -> RefundingGateway:
    return gateways["stripe"]


@pytest.fixture
def paypal(gateways) -> CapturingGateway:
    return gateways["paypal"]


