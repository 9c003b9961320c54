"""Which gateways stand in the box."""

from typing import Any

from sandbox.cinetpay import CinetPay
from sandbox.clock import Clock
from sandbox.dials import Panel
from sandbox.gateway import Gateway
from sandbox.mtn_momo import MtnMomo
from sandbox.orange_money import OrangeMoney
from sandbox.paypal import PayPal
from sandbox.stripe import Stripe

KINDS: tuple[type[Gateway], ...] = (Stripe, PayPal, CinetPay, MtnMomo, OrangeMoney)


def gateways(clock: Clock, dials: dict[str, Any], settings: dict[str, Any]) -> dict[str, Gateway]:
    """All of them, by name, with the dials and settings that the environment gives."""
    return {kind.name: kind(clock, Panel(dials.get(kind.name)), settings.get(kind.name, {})) for kind in KINDS}
