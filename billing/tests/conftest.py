"""Gateways that a test plays with, in the place of the real ones."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User

from billing.gateways import registry
from billing.gateways.base import DestinationKind
from billing.gateways.stripe import Stripe
from billing.models import GatewaySetting, TaxRate
from billing.tests import shop
from billing.tests.fakes import (
    CapturingGateway,
    ChargingGateway,
    Fake,
    FakeGateway,
    KeepingGateway,
    RefundingGateway,
    StandIn,
)
from billing.tests.paying import PayingGateway
from billing.tests.renewing import CouponGateway, RenewingGateway
from billing.tests.subscribers import BEGIN, make_plans
from credits import usage
from sandbox.testing import Sandbox


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
def made_anew() -> Iterator[None]:
    """Each gateway is made of the settings that this test has."""
    registry.forget()
    yield
    registry.forget()


@pytest.fixture
def at_stripe(made_anew: None, sandbox: Sandbox, db: Any, settings: Any) -> Stripe:
    """Our own adapter, which speaks with the Stripe of the sandbox."""
    settings.STRIPE_API_BASE = settings.STRIPE_FILES_BASE = sandbox.base("stripe")
    settings.GATEWAY_TRIES = 1  # a second try would wait
    GatewaySetting.objects.create(name="stripe", priority=0)
    found = registry.get("stripe")
    assert isinstance(found, Stripe)
    return found


@pytest.fixture
def stripe(gateways: dict[str, Any]) -> RefundingGateway:
    found: RefundingGateway = gateways["stripe"]
    return found


@pytest.fixture
def paypal(gateways: dict[str, Any]) -> CapturingGateway:
    found: CapturingGateway = gateways["paypal"]
    return found


@pytest.fixture
def stand_in(gateways: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Puts a fake in the place of the gateway whose name it has."""

    def put(fake: Fake) -> Fake:
        monkeypatch.setitem(registry.BUILDERS, fake.name, lambda: fake)
        registry.forget()
        return fake

    return put


@pytest.fixture
def charging(stand_in: StandIn) -> ChargingGateway:
    return stand_in(ChargingGateway("stripe"))


@pytest.fixture
def keeping(charging: ChargingGateway, stand_in: StandIn) -> KeepingGateway:
    """It stands where the one did at which Ann saved her card."""
    return stand_in(KeepingGateway("stripe"))


@pytest.fixture
def paying(stand_in: StandIn) -> PayingGateway:
    """PayPal, which pays out to whoever has an address there."""
    return stand_in(PayingGateway("paypal", payout=frozenset({DestinationKind.EMAIL})))


@pytest.fixture
def buyer(gateways: dict[str, Any]) -> User:
    """Somebody before whom Pack Medium lies."""
    shop.make_pack()
    return shop.make_user()


@pytest.fixture
def ann(charging: ChargingGateway) -> User:
    """She has saved a card while she bought a pack, and has used up what she bought."""
    user = shop.make_user()
    shop.paid(charging, user, save_method=True)
    usage.spend(user=user, key="all", amount=275)
    charging.asked.clear()
    return user


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """It stands at the beginning of everything, until the test moves it."""
    with time_machine.travel(BEGIN, tick=False) as traveller:
        yield traveller


@pytest.fixture
def on_sale(gateways: dict[str, Any], clock: time_machine.Traveller) -> None:
    make_plans()


@pytest.fixture
def renewing(stand_in: StandIn, on_sale: None) -> RenewingGateway:
    return stand_in(RenewingGateway("stripe"))


@pytest.fixture
def discounting(stand_in: StandIn, on_sale: None) -> CouponGateway:
    """It renews, and keeps coupons as well."""
    return stand_in(CouponGateway("stripe"))


@pytest.fixture
def french(db: Any, settings: Any) -> None:
    """The seller is in France, and its prices contain tax."""
    settings.SELLER_COUNTRY, settings.TAX_SCHEME = "FR", "standard"
    rates = {"FR": 2_000, "HU": 2_700, "RE": 850}
    for country, points in rates.items():  # a test that flushed the tables took those of the migration
        TaxRate.objects.get_or_create(
            country=country, category="standard", valid_from=date(2026, 1, 1), defaults={"basis_points": points}
        )
    settings.SELLER_VAT_NUMBER, settings.SELLER_LEGAL_ID = "FR44732829320", "732829320"


@pytest.fixture
def at_use(french: None, settings: Any) -> None:
    """Tokens are taxed when they are used."""
    settings.TAX_AT_USE_CATALOGUES = ["companion-tokens"]
