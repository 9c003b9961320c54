"""Orange Money Web Payment: a page where the buyer types a single-use code; it knows no refunds and no payouts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.gateways import amounts, letters
from billing.gateways.base import (
    AmountRule,
    Capabilities,
    CheckoutRequest,
    Failure,
    Flow,
    Hint,
    Letter,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    Trust,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError, InvalidLetter
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.references import fingerprint, short
from billing.gateways.subjects import Subject
from billing.gateways.tokens import Tokens, misconfigured, read_token
from ledger.money import exponent

NAME = "orange_money"
OK = (200, 201)
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 400, 401, 403, 404
ORDER_ID_USED = "1204"
SANDBOX = "dev"
SANDBOX_CURRENCY = "OUV"  # stands for whatever currency the shop has
SESSION_LIFETIME = timedelta(minutes=10)
LONGEST_URL = 120
LONGEST_SHOP_NAME = 30
STATES = {
    "INITIATED": PaymentState.REQUIRES_ACTION,
    "PENDING": PaymentState.PENDING,
    "SUCCESS": PaymentState.SUCCEEDED,
    "FAILED": PaymentState.FAILED,
    "EXPIRED": PaymentState.EXPIRED,
}
FAILURES = {
    PaymentState.FAILED: FailureCategory.PAYER_DECLINED,  # Orange gives no reason
    PaymentState.EXPIRED: FailureCategory.EXPIRED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    base_url: str
    environment: str  # the country's path, or `dev`
    currency: str
    country: str
    client_id: str
    client_secret: str
    merchant_key: str
    shop_name: str = "Tirelire"
    minimum: int = 100  # whole units
    maximum: int = 1_500_000


class OrangeMoney:
    name = NAME

    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self.capabilities = _capabilities(configuration)
        self._channel = Channel(gateway=NAME, base_url=configuration.base_url, limits=limits)
        self._tokens = Tokens(self._fetch_token, margin_seconds=60)

    def missing_settings(self) -> Sequence[str]:
        found = {
            "ORANGE_MONEY_API_BASE": self.configuration.base_url,
            "ORANGE_MONEY_ENVIRONMENT": self.configuration.environment,
            "ORANGE_MONEY_CLIENT_ID": self.configuration.client_id,
            "ORANGE_MONEY_CLIENT_SECRET": self.configuration.client_secret,
            "ORANGE_MONEY_MERCHANT_KEY": self.configuration.merchant_key,
        }
        return [name for name, value in found.items() if not value]

    def check_health(self) -> None:
        self._fetch_token()

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        """Not to be repeated: an order_id counts once, and the page of a lost reply is lost with it. Nobody can pay
        there, so after `fetch_payment` said so, another attempt may be made."""
        amounts.require(request.amount, self.capabilities.currencies, gateway=NAME)
        body = _payment_to_them(request, self.configuration, self._rule(request.amount.unit))
        reply = self._call("webpayment", body, moves=True)
        if reply.status not in OK:
            raise _refusal(reply)
        return _opened(reply, request)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        """Orange answers only to whoever names order, amount and token alike, so its answer proves all three."""
        pay_token = payment.ids.get("pay_token")
        if not pay_token:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        body = {
            "order_id": short(payment.reference),
            "amount": amounts.to_whole(payment.amount, self._rule(payment.amount.unit)),
            "pay_token": pay_token,
        }
        reply = self._call("transactionstatus", body, moves=False)
        if reply.status == NOT_FOUND:
            return PaymentResult(state=PaymentState.NOT_FOUND, ids=dict(payment.ids))
        if reply.status not in OK:
            raise _refusal(reply)
        return _payment_from_them(reply, payment)

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        """Neither signed nor naming its payment: the path says which it may be, and its notif_token whether it is
        (`letters.fits`)."""
        fields = letters.fields(letter)
        secret = letters.text(fields.get("notif_token"))
        if not secret:
            raise InvalidLetter("The letter has no notif_token.")
        return [
            Hint(
                event_id=letters.made_up_id(letter),
                kind=letters.text(fields.get("status")) or "notification",
                subject=Subject.PAYMENT,
                trust=Trust.SHARED_SECRET,
                ids={"notif_token_sha256": fingerprint(secret)},
            )
        ]

    def _rule(self, unit: str) -> AmountRule:
        return self.capabilities.currencies.get(unit, AmountRule(wire_exponent=0))

    def _call(self, name: str, body: Mapping[str, Any], *, moves: bool) -> Reply:
        path = f"/orange-money-webpay/{self.configuration.environment}/v1/{name}"

        def ask(token: str) -> Reply:
            headers = {"Authorization": f"Bearer {token}"}
            return self._channel.call("POST", path, moves=moves, json=body, headers=headers)

        return self._tokens.call(ask)

    def _fetch_token(self) -> tuple[str, float]:
        reply = self._channel.call(
            "POST",
            "/oauth/v3/token",
            moves=False,
            form={"grant_type": "client_credentials"},
            login=(self.configuration.client_id, self.configuration.client_secret),
        )
        if reply.status in (BAD_REQUEST, UNAUTHORIZED, FORBIDDEN):
            raise misconfigured(reply, "Orange refuses our credentials.")
        return read_token(reply)


def _capabilities(configuration: Configuration) -> Capabilities:
    whole = 10 ** exponent(configuration.currency)
    rule = AmountRule(
        minimum_minor=configuration.minimum * whole,
        maximum_minor=configuration.maximum * whole,
        step_minor=whole,
        wire_exponent=0,
    )
    return Capabilities(
        flows=frozenset({Flow.REDIRECT}),
        currencies={configuration.currency: rule},
        countries=frozenset({configuration.country}),
        webhook_trust=Trust.SHARED_SECRET,
        pending_lifetime=SESSION_LIFETIME,
    )


# ---------------------------------------------------------------- to them


def _payment_to_them(request: CheckoutRequest, configuration: Configuration, rule: AmountRule) -> dict[str, Any]:
    urls = {"return_url": request.success_url, "cancel_url": request.cancel_url, "notif_url": request.notify_url}
    for name, url in urls.items():
        if len(url) > LONGEST_URL:
            raise Declined(
                f"{name} is longer than {LONGEST_URL} letters.",
                gateway=NAME,
                category=FailureCategory.INVALID_REQUEST,
                code=name,
            )
    return {
        "merchant_key": configuration.merchant_key,
        "currency": SANDBOX_CURRENCY if configuration.environment == SANDBOX else request.amount.unit,
        "order_id": short(request.reference),
        "amount": amounts.to_whole(request.amount, rule),
        "lang": "fr" if request.buyer.locale.startswith("fr") else "en",
        "reference": configuration.shop_name[:LONGEST_SHOP_NAME],
        **urls,
    }


# ---------------------------------------------------------------- from them


def _refusal(reply: Reply) -> GatewayError:
    fields = reply.fields_or_none()
    code = str(fields.get("code", "")) or str(reply.status)
    if code == ORDER_ID_USED:
        return reply.uncertain("Orange had this order before.", code=code, category=FailureCategory.DUPLICATE)
    if reply.status in (UNAUTHORIZED, FORBIDDEN):
        return misconfigured(reply, "Orange refuses our contract here.", code=code)
    if reply.status in (BAD_REQUEST, NOT_FOUND) and fields:
        said = redacted_text(f"{fields.get('message', '')}: {fields.get('description', '')}")
        return Declined(said, gateway=NAME, category=FailureCategory.INVALID_REQUEST, code=code)
    return reply.uncertain("Orange's answer means nothing to us.", code=code)


def _opened(reply: Reply, request: CheckoutRequest) -> PaymentResult:
    fields = reply.fields()
    with reply.understood():
        url, pay_token, notif_token = fields["payment_url"], fields["pay_token"], fields["notif_token"]
        if not (isinstance(url, str) and url.startswith("http") and pay_token and notif_token):
            raise ValueError(url)
        return PaymentResult(
            state=PaymentState.REQUIRES_ACTION,
            ids={
                "order": short(request.reference),
                "pay_token": str(pay_token),
                "notif_token_sha256": fingerprint(str(notif_token)),
            },
            next_action=NextAction(type=Flow.REDIRECT, url=url, expires_at=datetime.now(UTC) + SESSION_LIFETIME),
            raw=redacted(fields),
        )


def _payment_from_them(reply: Reply, payment: PaymentRef) -> PaymentResult:
    fields = reply.fields()
    with reply.understood():
        state = STATES[fields["status"]]
        if fields.get("order_id", short(payment.reference)) != short(payment.reference):
            raise reply.uncertain("Orange answered with another order.", code="reference_mismatch")
        transaction = fields.get("txnid")
        return PaymentResult(
            state=state,
            ids={**payment.ids, **({"transaction": str(transaction)} if transaction else {})},
            amount=payment.amount,
            failure=Failure(category=FAILURES[state], code=str(fields["status"])) if state in FAILURES else None,
            raw=redacted(fields),
        )
