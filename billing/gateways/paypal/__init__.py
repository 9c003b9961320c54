"""PayPal: the buyer approves an order on PayPal's page, we capture it; refunds of captures, and payouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.gateways import amounts, duplicates
from billing.gateways.base import (
    Capabilities,
    CheckoutRequest,
    DestinationKind,
    Flow,
    Hint,
    Letter,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundResult,
    RefundState,
    Trust,
)
from billing.gateways.errors import Declined, FailureCategory, Uncertain
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.paypal import errors, letters, translation
from billing.gateways.subscribing import DisputeTold
from billing.gateways.tokens import Tokens, read_token

NAME = "paypal"
OK = (200, 201)
NOT_FOUND = 404
# A batch id is remembered for 30 days; well before that, sending again stops being a way of asking.
RESEND_WINDOW = timedelta(days=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    base_url: str
    client_id: str
    client_secret: str
    webhook_id: str
    webhook_check: str = "offline"  # or `ask`
    webhook_tolerance_seconds: int = 345_600
    brand_name: str = ""


class PayPal:
    name = NAME
    capabilities = Capabilities(
        flows=frozenset({Flow.REDIRECT}),
        currencies=translation.CURRENCIES,
        refund=True,
        partial_refund=True,
        takes_cards=True,
        tells_fees=True,
        payout=frozenset({DestinationKind.EMAIL, DestinationKind.ACCOUNT}),
        payout_currencies=translation.CURRENCIES,
        webhook_trust=Trust.SIGNED,
        pending_lifetime=translation.APPROVAL_WINDOW,
    )

    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self._channel = Channel(gateway=NAME, base_url=configuration.base_url, limits=limits)
        self._tokens = Tokens(self._fetch_token, margin_seconds=120)
        self._certificates = letters.Certificates(configuration.base_url, limits)

    def missing_settings(self) -> Sequence[str]:
        found = {
            "PAYPAL_API_BASE": self.configuration.base_url,
            "PAYPAL_CLIENT_ID": self.configuration.client_id,
            "PAYPAL_CLIENT_SECRET": self.configuration.client_secret,
            "PAYPAL_WEBHOOK_ID": self.configuration.webhook_id,
        }
        return [name for name, value in found.items() if not value]

    def check_health(self) -> None:
        self._fetch_token()

    # ------------------------------------------------------------ money in

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        """Safe to repeat for six hours: PayPal answers a request id that it knows with the order of the first call."""
        amounts.require(request.amount, translation.CURRENCIES, gateway=NAME)
        body = translation.order_to_them(request, self.configuration.brand_name)
        reply = self._call("POST", "/v2/checkout/orders", json=body, key=f"{request.reference}-create", moves=True)
        if reply.status not in OK:
            raise errors.refusal(reply)
        result = translation.payment_from_them(reply, request.reference)
        if result.state is PaymentState.REQUIRES_ACTION and result.next_action is None:
            raise reply.uncertain("PayPal made an order without a page for it.", code="unreadable")
        return result

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        """Without the order's id there is nothing to ask by, and nobody who could pay: its page was never shown."""
        order = payment.ids.get("order")
        if not order:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        reply = self._call("GET", f"/v2/checkout/orders/{order}")
        if reply.status == NOT_FOUND:
            return self._forgotten(payment)
        if reply.status not in OK:
            raise errors.refusal(reply)
        return translation.payment_from_them(reply, payment.reference)

    def capture(self, payment: PaymentRef) -> PaymentResult:
        order = payment.ids.get("order")
        if not order:
            raise Declined("There is no order to capture.", gateway=NAME, category=FailureCategory.INVALID_REQUEST)
        path = f"/v2/checkout/orders/{order}/capture"
        reply = self._call("POST", path, json={}, key=f"{payment.reference}-capture", moves=True, is_slow=True)
        if reply.status in OK:
            return translation.payment_from_them(reply, payment.reference)
        issue = errors.issue(reply)
        if issue in errors.CONVERGE:
            return duplicates.converge(reply, lambda: self.fetch_payment(payment), code=issue)
        if issue in errors.PAYER_MUST_ACT:
            return translation.back_to_paypal(reply, issue)
        raise errors.refusal(reply)

    def _forgotten(self, payment: PaymentRef) -> PaymentResult:
        """PayPal says 404 of orders that ran out of time, and maybe of old ones; their captures stay."""
        if captured := payment.ids.get("capture"):
            reply = self._call("GET", f"/v2/payments/captures/{captured}")
            if reply.status in OK:
                with reply.understood():
                    fields = reply.fields()
                    return translation.paid_or_not(fields, fields, ids=dict(payment.ids))
        is_old = payment.created_at is not None and datetime.now(UTC) - payment.created_at > translation.APPROVAL_WINDOW
        return PaymentResult(state=PaymentState.EXPIRED if is_old else PaymentState.NOT_FOUND, ids=dict(payment.ids))

    # ------------------------------------------------------------ refunds

    def send_refund(self, request: RefundRequest) -> RefundResult:
        """Safe to repeat for 45 days, by the request id."""
        amounts.require(request.amount, translation.CURRENCIES, gateway=NAME)
        captured = request.payment.ids.get("capture")
        if not captured:
            raise Declined("Nothing was captured.", gateway=NAME, category=FailureCategory.INVALID_REQUEST)
        path = f"/v2/payments/captures/{captured}/refund"
        body = translation.refund_to_them(request)
        reply = self._call("POST", path, json=body, key=f"{request.reference}-refund", moves=True, is_slow=True)
        if reply.status in OK:
            return translation.refund_from_them(reply, reply.fields())
        raise errors.refusal(reply)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        """By its id; when the reply that carried it was lost, by our reference among the refunds of the order."""
        if known := refund.ids.get("refund"):
            reply = self._call("GET", f"/v2/payments/refunds/{known}")
            if reply.status in OK:
                return translation.refund_from_them(reply, reply.fields())
            if reply.status == NOT_FOUND:
                return RefundResult(state=RefundState.NOT_FOUND)
            raise errors.refusal(reply)
        reply = self._call("GET", f"/v2/checkout/orders/{refund.payment.ids.get('order', '-')}")
        if reply.status not in OK:
            raise reply.uncertain("The order of the refund is not shown.", code=errors.issue(reply))
        with reply.understood():
            for made in translation.payments_of(reply.fields()).get("refunds", []):
                if made.get("invoice_id") == refund.reference:
                    return translation.refund_from_them(reply, made)
        return RefundResult(state=RefundState.NOT_FOUND)

    # ------------------------------------------------------------ payouts

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        """Safe to repeat for 30 days: PayPal refuses a second batch of the same name and links to the first."""
        amounts.require(request.amount, translation.CURRENCIES, gateway=NAME)
        if request.destination.kind not in self.capabilities.payout:
            raise Declined("PayPal pays to mail addresses and PayPal accounts.", gateway=NAME,
                           category=FailureCategory.NOT_SUPPORTED)  # fmt: skip
        body = translation.payout_to_them(request)
        reply = self._call("POST", "/v1/payments/payouts", json=body, key=request.reference, moves=True, is_slow=True)
        if reply.status in OK:
            return translation.batch_from_them(reply)
        if errors.is_known_batch(reply):
            known = errors.linked_batch(reply)
            again = PayoutRef(reference=request.reference, amount=request.amount, ids={"batch": known})
            return duplicates.converge(reply, lambda: self.fetch_payout(again), code="sender_batch_id")
        raise errors.refusal(reply)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        """By the batch's id. When that was lost, PayPal tells it only to whoever sends the same batch again: the money
        was ordered and goes once, now or at the first call."""
        batch = payout.ids.get("batch")
        if not batch:
            is_young = payout.created_at is None or datetime.now(UTC) - payout.created_at < RESEND_WINDOW
            if payout.request is not None and is_young:
                return self.send_payout(payout.request)
            raise Uncertain("PayPal can be asked only by sending the same payout again.", gateway=NAME, code="resend")
        reply = self._call("GET", f"/v1/payments/payouts/{batch}")
        if reply.status == NOT_FOUND:
            return PayoutResult(state=PayoutState.NOT_FOUND, ids={"batch": batch})
        if reply.status not in OK:
            raise errors.refusal(reply)
        return translation.payout_from_them(reply, payout.reference)

    # ------------------------------------------------------------ letters

    def must_ask(self, letter: Letter) -> bool:
        return self.configuration.webhook_check == "ask" or not self._certificates.knows(letters.certificate_of(letter))

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        letters.check_age(letter, self.configuration.webhook_tolerance_seconds)
        if self.configuration.webhook_check == "ask":
            content = letters.question(letter, self.configuration.webhook_id)
            path = "/v1/notifications/verify-webhook-signature"
            letters.require_success(self._call("POST", path, content=content))
        else:
            letters.check_signature(letter, self.configuration.webhook_id, self._certificates)
        return letters.hints(letter)

    def dispute_told(self, *, kind: str, event: Mapping[str, object]) -> DisputeTold:
        return letters.dispute_told(kind, event)

    # ------------------------------------------------------------ speaking

    def _call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        key: str = "",
        moves: bool = False,
        is_slow: bool = False,
    ) -> Reply:
        headers = {"Prefer": "return=representation", "Content-Type": "application/json"}
        if key:
            headers["PayPal-Request-Id"] = key

        def ask(token: str) -> Reply:
            return self._channel.call(
                method, path, moves=moves, json=json, content=content, is_slow=is_slow,
                headers={**headers, "Authorization": f"Bearer {token}"},
            )  # fmt: skip

        return self._tokens.call(ask)

    def _fetch_token(self) -> tuple[str, float]:
        reply = self._channel.call(
            "POST",
            "/v1/oauth2/token",
            moves=False,
            form={"grant_type": "client_credentials"},
            login=(self.configuration.client_id, self.configuration.client_secret),
        )
        if reply.status not in OK:
            raise errors.refused_credentials(reply)
        return read_token(reply)
