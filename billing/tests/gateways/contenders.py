"""The gateways of the contract suite: how each is set up against the sandbox, and what it calls the same things.

Another gateway joins by one more entry of CONTENDERS.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from billing.gateways import mtn_momo, orange_money, paypal, stripe
from billing.gateways.base import (
    Buyer,
    CheckoutRequest,
    Destination,
    DestinationKind,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRequest,
    Trust,
)
from billing.gateways.cinetpay import CinetPay
from billing.gateways.cinetpay import configuration as cinetpay
from billing.gateways.http import Limits
from billing.gateways.references import short
from ledger.money import Money
from sandbox.testing import Sandbox

LIMITS = Limits(connect_seconds=2.0, read_seconds=5.0, slow_read_seconds=5.0)
IMPATIENT = Limits(connect_seconds=2.0, read_seconds=0.25, slow_read_seconds=0.25)
RETURN_URL = "https://shop.example/back"

Make = Callable[[Sandbox, Limits], Any]


def _same(reference: str) -> str:
    return reference


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One gateway in the suite. Amounts are legal there; `written` is how our reference stands in its books."""

    name: str  # of this entry
    gateway: str  # of the sandbox
    make: Make
    amount: Money
    part: Money
    illegal: tuple[Money, ...]
    written: Callable[[str], str] = _same
    declined_as: PaymentState = PaymentState.FAILED
    tells_decline: bool = True  # off where a refused card leaves the page open, and the API silent about it
    abandoned_as: PaymentState = PaymentState.REQUIRES_ACTION
    lifetime: timedelta
    resolves_lost_page: bool = True  # whether `fetch_payment` finds a payment whose creation was not confirmed
    repeat: str = "refused"  # what a repeated reference gets: refused, known (its state, no page) or same page
    refunds: bool = False
    refund_refusal_is_late: bool = False  # too much is taken first and refused later
    payout_to: Destination | None = None
    payout_declined_to: Destination | None = None
    trust: Trust
    forged_mark: bytes = b""  # what stands in a forged letter and in no other; empty where no other comes by then
    webhook_url_setting: bool = False  # the gateway writes to one address that it is told beforehand

    def __str__(self) -> str:
        return self.name


def reference() -> str:
    return uuid.uuid4().hex


def checkout(
    contender: Contender, *, ours: str = "", amount: Money | None = None, notify_url: str = ""
) -> CheckoutRequest:
    return CheckoutRequest(
        reference=ours or reference(),
        amount=amount or contender.amount,
        description='Order #77 & "more"',
        buyer=Buyer(
            id="buyer-1", name="Awa Kone", email="awa@example.org", phone="+237670000001", country="CM", locale="fr"
        ),
        success_url=RETURN_URL,
        cancel_url=RETURN_URL,
        notify_url=notify_url or "http://127.0.0.1:9/nobody",
    )


def remembered(request: CheckoutRequest, result: PaymentResult | None = None, *, age_seconds: float = 0) -> PaymentRef:
    """The attempt as billing would know it."""
    return PaymentRef(
        reference=request.reference,
        amount=request.amount,
        ids=result.ids if result else {},
        created_at=datetime.now(UTC) - timedelta(seconds=age_seconds),
    )


def moment_ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def learned(payment: PaymentRef, result: PaymentResult) -> PaymentRef:
    return replace(payment, ids={**payment.ids, **result.ids})


def shown(action: NextAction | None) -> dict[str, Any]:
    """A next action as our API returns it."""
    assert action is not None
    found = {"type": action.type.value, "url": action.url, "phone": action.phone, "reference": action.reference}
    return {name: value for name, value in found.items() if value}


def payout(
    contender: Contender, *, ours: str = "", to: Destination | None = None, notify_url: str = ""
) -> PayoutRequest:
    destination = to or contender.payout_to
    assert destination is not None
    return PayoutRequest(
        reference=ours or reference(),
        amount=contender.amount,
        destination=destination,
        description="Withdrawal",
        notify_url=notify_url or "http://127.0.0.1:9/nobody",
    )


# ---------------------------------------------------------------- each gateway


def paypal_in(sandbox: Sandbox, limits: Limits = LIMITS, **changes: Any) -> paypal.PayPal:
    configuration = paypal.Configuration(
        base_url=sandbox.base("paypal"),
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        webhook_id="WHSANDBOX",
        brand_name="Shop",
    )
    return paypal.PayPal(replace(configuration, **changes), limits)


def cinetpay_in(
    sandbox: Sandbox, limits: Limits = LIMITS, *, generation: str = "checkout_v2", **changes: Any
) -> CinetPay:
    base_url = sandbox.base("cinetpay")
    configuration = cinetpay.Configuration(
        generation=generation,
        base_url=base_url,
        transfer_base_url=base_url,
        v1_base_url=base_url,
        api_key="sk_test_sandbox" if generation == "v1" else "sandbox-apikey",
        site_id="123456",
        secret_key="sandbox-secret-key",
        transfer_password="sandbox-transfer-password",
        api_password="sandbox-api-password",
    )
    return CinetPay(replace(configuration, **changes), limits)


def cinetpay_v1_in(sandbox: Sandbox, limits: Limits = LIMITS) -> CinetPay:
    return cinetpay_in(sandbox, limits, generation="v1")


def mtn_momo_in(sandbox: Sandbox, limits: Limits = LIMITS, **changes: Any) -> mtn_momo.MtnMomo:
    user = "5b2c2a6e-7a1e-4a53-9b0e-3b1c6f0d8a11"
    configuration = mtn_momo.Configuration(
        base_url=sandbox.base("mtn_momo"),
        target_environment="mtncameroon",
        currency="XAF",
        country="CM",
        collection=mtn_momo.Product(subscription_key="sandbox-collection-key", user=user, secret="sandbox-api-key"),
        disbursement=mtn_momo.Product(subscription_key="sandbox-disbursement-key", user=user, secret="sandbox-api-key"),
    )
    return mtn_momo.MtnMomo(replace(configuration, **changes), limits)


def orange_money_in(sandbox: Sandbox, limits: Limits = LIMITS, **changes: Any) -> orange_money.OrangeMoney:
    configuration = orange_money.Configuration(
        base_url=sandbox.base("orange_money"),
        environment="ci",
        currency="XOF",
        country="CI",
        client_id="sandbox-client",
        client_secret="sandbox-secret",
        merchant_key="sandbox-merchant-key",
    )
    return orange_money.OrangeMoney(replace(configuration, **changes), limits)


def stripe_in(sandbox: Sandbox, limits: Limits = LIMITS, **changes: Any) -> stripe.Stripe:
    configuration = stripe.Configuration(
        secret_key="sk_test_sandbox",
        publishable_key="pk_test_sandbox",
        webhook_secrets=("whsec_sandbox",),
        api_base=sandbox.base("stripe"),
        minimums_minor=settings.STRIPE_MINIMUMS_MINOR,
        limits=limits,
    )
    return stripe.Stripe(replace(configuration, **changes))


def _phone(number: str) -> Destination:
    return Destination(kind=DestinationKind.PHONE, value=number, name="Awa Kone")


def _mail(address: str) -> Destination:
    return Destination(kind=DestinationKind.EMAIL, value=address)


CONTENDERS = (
    Contender(  # its payouts have their own tests: a transfer is paid at once, a bank takes two days
        name="stripe",
        gateway="stripe",
        make=stripe_in,
        amount=Money(2_500, "EUR"),
        part=Money(1_000, "EUR"),
        illegal=(Money(49, "EUR"), Money(1_001, "KWD"), Money(501, "MGA"), Money(5_000, "BOV")),
        declined_as=PaymentState.REQUIRES_ACTION,
        tells_decline=False,
        lifetime=timedelta(hours=24),
        repeat="same page",
        refunds=True,
        trust=Trust.SIGNED,
        forged_mark=b"evt_000000000000000000000000",
        webhook_url_setting=True,
    ),
    Contender(
        name="paypal",
        gateway="paypal",
        make=paypal_in,
        amount=Money(2_500, "EUR"),
        part=Money(1_000, "EUR"),
        illegal=(Money(0, "EUR"), Money(1_050, "HUF"), Money(5_000, "XOF")),
        declined_as=PaymentState.REQUIRES_ACTION,
        lifetime=timedelta(hours=3),
        resolves_lost_page=False,
        repeat="same page",
        refunds=True,
        payout_to=_mail("seller@example.org"),
        payout_declined_to=_mail("declined@example.org"),
        trust=Trust.SIGNED,
        webhook_url_setting=True,
    ),
    Contender(
        name="cinetpay",
        gateway="cinetpay",
        make=cinetpay_in,
        amount=Money(5_000, "XOF"),
        part=Money(1_000, "XOF"),
        illegal=(Money(95, "XOF"), Money(999, "XOF"), Money(2_500_005, "XOF"), Money(500, "EUR")),
        written=short,
        abandoned_as=PaymentState.CANCELLED,
        lifetime=timedelta(minutes=30),
        payout_to=_phone("+2250700000001"),
        payout_declined_to=_phone("+2250700000090"),
        trust=Trust.SIGNED,
    ),
    Contender(
        name="cinetpay v1",
        gateway="cinetpay",
        make=cinetpay_v1_in,
        amount=Money(5_000, "XOF"),
        part=Money(1_000, "XOF"),
        illegal=(Money(95, "XOF"), Money(999, "XOF")),
        written=short,
        abandoned_as=PaymentState.FAILED,
        lifetime=timedelta(minutes=30),
        repeat="known",
        payout_to=_phone("+2250700000001"),
        payout_declined_to=_phone("+2250700000090"),
        trust=Trust.SHARED_SECRET,
    ),
    Contender(
        name="mtn_momo",
        gateway="mtn_momo",
        make=mtn_momo_in,
        amount=Money(5_000, "XAF"),
        part=Money(1_000, "XAF"),
        illegal=(Money(99, "XAF"), Money(500_001, "XAF"), Money(5_000, "XOF")),
        declined_as=PaymentState.CANCELLED,
        abandoned_as=PaymentState.PENDING,
        lifetime=timedelta(minutes=5),
        repeat="same page",
        refunds=True,
        refund_refusal_is_late=True,
        payout_to=_phone("+237670000002"),
        payout_declined_to=_phone("+46733123455"),
        trust=Trust.UNSIGNED,
    ),
    Contender(
        name="orange_money",
        gateway="orange_money",
        make=orange_money_in,
        amount=Money(5_000, "XOF"),
        part=Money(1_000, "XOF"),
        illegal=(Money(99, "XOF"), Money(1_500_001, "XOF"), Money(5_000, "EUR")),
        written=short,
        lifetime=timedelta(minutes=10),
        resolves_lost_page=False,
        trust=Trust.SHARED_SECRET,
    ),
)
