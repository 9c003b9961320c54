"""What the contract suite does not ask of other gateways: Stripe's payouts and subscriptions, over HTTP."""

from dataclasses import replace
from typing import Any

import pytest

from billing import breaker, calling
from billing.gateways.base import Buyer, Destination, DestinationKind, PayoutRef, PayoutRequest, PayoutState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.stripe import Stripe
from billing.gateways.subscribing import (
    Interval,
    PriceRequest,
    ProductRequest,
    SubscriptionRef,
    SubscriptionRequest,
    SubscriptionState,
)
from billing.routing import Health
from billing.tests.gateways import contenders
from ledger.money import Money
from sandbox.testing import Sandbox

AMOUNT = Money(2_500, "EUR")
TWO_DAYS = 2 * 86_400 + 1


@pytest.fixture
def gateway(sandbox: Sandbox) -> Stripe:
    return contenders.stripe_in(sandbox)


def to(value: str, amount: Money = AMOUNT) -> PayoutRequest:
    destination = Destination(kind=DestinationKind.ACCOUNT, value=value)
    return PayoutRequest(reference=contenders.reference(), amount=amount, destination=destination)


def known(request: PayoutRequest, ids: Any = None) -> PayoutRef:
    return PayoutRef(reference=request.reference, amount=request.amount, ids=ids or {})


@pytest.fixture
def seller(sandbox: Sandbox, gateway: Stripe) -> str:
    account = gateway.api.accounts.create({"country": "FR"})
    sandbox.control("POST", f"/stripe/_stripe/accounts/{account.id}/onboard")
    return account.id


def books(sandbox: Sandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.books("stripe")["payouts"]
    return found


def test_a_seller_is_paid_at_once_and_once(sandbox: Sandbox, gateway: Stripe, seller: str) -> None:
    request = to(seller)
    sent = gateway.send_payout(request)
    assert (sent.state, sent.amount) == (PayoutState.PAID, AMOUNT)
    assert gateway.send_payout(request).ids == sent.ids
    assert [(line["reference"], line["amount_minor"]) for line in books(sandbox)] == [(request.reference, 2_500)]


@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_a_transfer_whose_reply_was_lost_is_found(sandbox: Sandbox, gateway: Stripe, seller: str, dial: str) -> None:
    request = to(seller)
    sandbox.turn("stripe", **{dial: 1.0})
    with pytest.raises(Uncertain):
        gateway.send_payout(request)
    sandbox.turn("stripe", **{dial: 0.0})
    assert gateway.fetch_payout(known(request)).state is PayoutState.PAID
    assert len(books(sandbox)) == 1


def test_too_many_requests_wait_as_told_open_the_breaker_and_move_nothing(
    sandbox: Sandbox, gateway: Stripe, seller: str, db: None
) -> None:
    sandbox.turn("stripe", too_many=True)
    waits: list[float] = []
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            calling.call(
                "stripe",
                "send_payout",
                lambda: gateway.send_payout(to(seller)),
                is_new_attempt=False,
                wait=waits.append,
            )
    assert refused.value.retry_after_seconds == 1
    assert (len(waits), min(waits) >= 1) == (4, True)
    assert breaker.states(["stripe"]) == {"stripe": Health.OPEN}
    assert books(sandbox) == []


def test_a_bank_takes_two_days(sandbox: Sandbox, gateway: Stripe) -> None:
    request = to("ba_1")
    sent = gateway.send_payout(request)
    assert sent.state in (PayoutState.PENDING, PayoutState.IN_TRANSIT)
    sandbox.advance(TWO_DAYS)
    assert gateway.fetch_payout(known(request, sent.ids)).state is PayoutState.PAID


def test_more_than_the_balance_is_refused(sandbox: Sandbox, gateway: Stripe) -> None:
    sandbox.configure("stripe", float_minor="100")
    with pytest.raises(Declined) as refused:
        gateway.send_payout(to("ba_1"))
    assert refused.value.category is FailureCategory.INSUFFICIENT_FUNDS
    assert books(sandbox) == []


def test_a_subscription_begins_on_its_page_and_ends_when_it_is_told(sandbox: Sandbox, gateway: Stripe) -> None:
    gateway.put_product(ProductRequest(id="prod_pro", name="Pro"))
    wanted = PriceRequest(lookup_key="pro_month", product="prod_pro", amount=Money(900, "EUR"), interval=Interval.MONTH)
    price = gateway.put_price(wanted)
    assert gateway.put_price(wanted) == price
    dearer = gateway.put_price(replace(wanted, amount=Money(1_000, "EUR")))
    assert gateway.active_prices(product="prod_pro") == [(dearer.id, "pro_month")]
    customer = gateway.create_customer(buyer=Buyer(id="u-1", email="awa@example.org"), reference="u-1")
    request = SubscriptionRequest(
        reference=contenders.reference(),
        buyer=Buyer(id="u-1", gateway_customer=customer),
        price=price.id,
        success_url=contenders.RETURN_URL,
        cancel_url=contenders.RETURN_URL,
    )
    opened = gateway.open_subscription(request)
    sandbox.play(contenders.shown(opened.next_action))
    begun = gateway.fetch_subscription(SubscriptionRef(reference=request.reference, session=opened.session))
    assert (begun.state, begun.price) == (SubscriptionState.ACTIVE, price.id)
    assert gateway.fetch_invoice(invoice=begun.latest_invoice).paid == Money(900, "EUR")
    ending = gateway.end_subscription_later(subscription=begun.id, reference="end")
    assert (ending.state, ending.cancel_at_period_end) == (SubscriptionState.ACTIVE, True)
    kept = gateway.keep_subscription(subscription=begun.id, reference="keep")
    assert not kept.cancel_at_period_end
    over = gateway.end_subscription(subscription=begun.id, reference="now")
    assert over.state is SubscriptionState.CANCELLED
