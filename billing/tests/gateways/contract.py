"""What the parts of the contract suite share: who is asked, and a payment that was made."""

from typing import Any

import pytest

from billing.gateways.base import (
    PaymentRef,
    PaymentResult,
    PaymentState,
)
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS, Contender
from sandbox.testing import Sandbox

A_MOMENT = 60  # seconds, after which the sandbox has done what it does later

every = pytest.mark.parametrize("contender", CONTENDERS, ids=str)
refunding = pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.refunds], ids=str)
paying_out = pytest.mark.parametrize("contender", [each for each in CONTENDERS if each.payout_to], ids=str)


def books(sandbox: Sandbox, contender: Contender, kind: str = "payments") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.books(contender.gateway)[kind]
    return found


def paid(sandbox: Sandbox, contender: Contender, adapter: Any, notify_url: str = "") -> PaymentRef:
    """A payment that the buyer has made, as billing would remember it."""
    request = contenders.checkout(contender, notify_url=notify_url)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action))
    payment = contenders.remembered(request, opened)
    result = settled(adapter, payment)
    assert result.state is PaymentState.SUCCEEDED
    return contenders.learned(payment, result)


def settled(adapter: Any, payment: PaymentRef) -> PaymentResult:
    """Ask, and capture what waits for it."""
    result: PaymentResult = adapter.fetch_payment(payment)
    if result.state is PaymentState.AUTHORIZED:
        result = adapter.capture(payment)
    return result
