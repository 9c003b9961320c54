"""A gateway that renews plans by itself: one subscription as the test has it, and the letters about it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from billing import inbox, subscriptions
from billing.checkout import Wishes
from billing.gateways.base import Flow, NextAction
from billing.gateways.errors import GatewayError
from billing.gateways.subscribing import (
    CouponRequest,
    InvoiceResult,
    InvoiceState,
    PriceResult,
    SubscriptionResult,
    SubscriptionState,
)
from billing.models import GatewayInstruction, Subscription
from billing.tests.fakes import RefundingGateway, send
from billing.tests.subscribers import BEGIN, fresh, make_user, price
from credits import calendar
from ledger.money import Money

END = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)  # letters are dated by the database, whose clock does not travel


class RenewingGateway(RefundingGateway):
    """One subscription and its invoices, as the test has them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.invoices: dict[str, InvoiceResult] = {}
        self.known = SubscriptionResult(state=SubscriptionState.INCOMPLETE)
        self.refusal: GatewayError | None = None
        self.keeps_pages = False

    def is_paid(self, invoice: str = "in_1", start: datetime = BEGIN, end: datetime = END, minor: int = 999) -> None:
        amount = Money(minor, "EUR")
        self.invoices[invoice] = InvoiceResult(state=InvoiceState.PAID, id=invoice, paid=amount, paid_at=start)
        self.known = replace(
            self.known, state=SubscriptionState.ACTIVE, id="sub_1", item="si_1", customer="cus_1", price="price_1",
            period_start=start, period_end=end, latest_invoice=invoice,
        )  # fmt: skip

    def becomes_in(self, state: SubscriptionState, **changes: Any) -> None:
        self.known = replace(self.known, state=state, **changes)

    def open_subscription(self, request: Any) -> SubscriptionResult:
        page = NextAction(type=Flow.REDIRECT, url="https://stripe.example/subscribe")
        self.known = replace(self.known, session="cs_1", next_action=page)
        return self.known

    def fetch_subscription(self, subscription: Any) -> SubscriptionResult:
        if self.refusal is not None:
            raise self.refusal
        return self.known

    def close_page(self, subscription: Any) -> SubscriptionResult:
        self.asked.append(f"close {subscription.session}")
        if self.refusal is not None:
            raise self.refusal
        if not self.keeps_pages and self.known.state is SubscriptionState.INCOMPLETE and not self.known.id:
            self.becomes_in(SubscriptionState.EXPIRED)
        return self.known

    def fetch_invoice(self, *, invoice: str) -> InvoiceResult:
        return self.invoices[invoice]

    def paid_invoices(self, *, subscription: str) -> list[str]:
        return [each.id for each in self.invoices.values() if each.state is InvoiceState.PAID]

    def find_invoice(self, *, payment_intent: str) -> InvoiceResult:
        paid_by = [each for each in self.invoices.values() if each.payment_intent == payment_intent]
        return paid_by[0] if paid_by else InvoiceResult(state=InvoiceState.NOT_FOUND)

    def end_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        if self.known.state is not SubscriptionState.NOT_FOUND:
            self.becomes_in(SubscriptionState.CANCELLED, cancel_at_period_end=False)
        return self.known

    def end_subscription_later(self, *, subscription: str, reference: str) -> SubscriptionResult:
        self.becomes_in(self.known.state, cancel_at_period_end=True)
        return self.known

    def keep_subscription(self, *, subscription: str, reference: str) -> SubscriptionResult:
        self.becomes_in(self.known.state, cancel_at_period_end=False)
        return self.known

    def put_product(self, request: Any) -> None:
        self.asked.append(f"product {request.id}")

    def put_price(self, request: Any) -> PriceResult:
        return PriceResult(id="price_1", amount=request.amount)

    def open_portal(self, request: Any) -> str:
        return f"https://stripe.example/portal/{request.customer}"

    def _never(self, *arguments: Any, **named: Any) -> Any:
        raise AssertionError("no test asks for this")

    preview_change = change_subscription = pause_subscription = resume_subscription = _never
    archive_price = put_coupon = _never


class CouponGateway(RenewingGateway):
    """Keeps coupons as well, and remembers which one a page was opened with."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.coupons: dict[str, CouponRequest] = {}
        self.opened_with = ""

    def put_coupon(self, request: Any) -> None:
        assert self.coupons.setdefault(request.id, request) == request

    def open_subscription(self, request: Any) -> SubscriptionResult:
        self.opened_with = request.coupon
        return super().open_subscription(request)

    def bills(self, invoice: str, paid: int, discount: int) -> None:
        self.is_paid(invoice, minor=paid)
        known: InvoiceResult = self.invoices[invoice]
        self.invoices[invoice] = replace(
            known, total=Money(paid, "EUR"), discount=Money(discount, "EUR") if discount else None
        )


def begin(user: Any = None) -> Subscription:
    wishes = Wishes(gateways=("stripe",))
    return subscriptions.start(user=user or make_user(), price=price("premium"), wishes=wishes).subscription


def write(found: Subscription, kind: str, number: int = 0, subject: str = "subscription") -> None:
    """A letter: it names the subscription, and what it says besides is not looked at."""
    said = {"id": f"evt_{kind}_{number}", "kind": kind, "subject": subject, "ids": {"subscription": "sub_1"}}
    send(RenewingGateway("stripe").letter(found.pk.hex, **said))


def read() -> None:
    inbox.drain(LATER)
    calendar.grant_due(at=timezone.now())


def lapsed(found: Subscription) -> datetime:
    """The instant at which it ends unless it is paid for."""
    at = fresh(found).lapses_at
    assert at is not None
    return at


def paid_once(renewing: RenewingGateway) -> Subscription:
    found = begin()
    renewing.is_paid()
    write(found, "paid", subject="invoice")
    read()
    return found


def instructed() -> list[tuple[str, str, str]]:
    """What the gateway was told to do, and what became of each."""
    return list(GatewayInstruction.objects.order_by("id").values_list("kind", "state", "failure_code"))
