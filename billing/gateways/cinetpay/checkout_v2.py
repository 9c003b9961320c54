"""Checkout v2, of the older accounts: key and site in every body, replies judged by their code, not their status."""

import re
from datetime import UTC, datetime
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import (
    CheckoutRequest,
    Failure,
    Flow,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
)
from billing.gateways.cinetpay.configuration import NAME, Configuration
from billing.gateways.cinetpay.replies import WHOLE, code_of
from billing.gateways.errors import Declined, FailureCategory, GatewayError
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.references import short
from billing.gateways.tokens import misconfigured

CREATED = "201"
ACCEPTED = "00"
UNKNOWN_TRANSACTION = ("723", "404")
WRONG_ACCOUNT = ("609", "401", "403")
REFUSED = ("606", "608", "624", "641", "642")
LONGEST_DESCRIPTION = 250
_UNWANTED = re.compile(r"[#/$_&]+")  # CinetPay asks to leave them out of descriptions
HTTP_NOT_FOUND = 404

STATES = {
    "600": PaymentState.FAILED,
    "602": PaymentState.FAILED,
    "604": PaymentState.FAILED,
    "606": PaymentState.FAILED,
    "623": PaymentState.PENDING,
    "625": PaymentState.EXPIRED,
    "627": PaymentState.CANCELLED,
    "662": PaymentState.REQUIRES_ACTION,
    "663": PaymentState.REQUIRES_ACTION,
}
CATEGORIES = {
    "600": FailureCategory.PAYER_DECLINED,
    "602": FailureCategory.INSUFFICIENT_FUNDS,
    "604": FailureCategory.PAYER_DECLINED,
    "606": FailureCategory.PAYER_DECLINED,
    "625": FailureCategory.EXPIRED,
    "627": FailureCategory.PAYER_CANCELLED,
}


class CheckoutV2:
    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self._channel = Channel(gateway=NAME, base_url=configuration.base_url, limits=limits)

    def check_health(self) -> None:
        """There is no call for this: we ask about a transaction that nobody made."""
        reply = self._call("/v2/payment/check", {"transaction_id": "health"}, moves=False)
        if code_of(reply) in WRONG_ACCOUNT:
            raise misconfigured(reply, "CinetPay refuses our key or site.", code=code_of(reply))

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        body = _payment_to_them(request)
        reply = self._call("/v2/payment", body, moves=True, is_slow=True)
        code = code_of(reply)
        if code == CREATED:
            return self._opened(reply, request)
        if code in WRONG_ACCOUNT:
            raise misconfigured(reply, "CinetPay refuses our key or site.", code=code)
        if code in REFUSED and self._is_unknown(request):
            raise Declined(_said(reply), gateway=NAME, category=FailureCategory.INVALID_REQUEST, code=code)
        # What it says when a transaction_id comes again is not documented: we ask what became of the first.
        category = FailureCategory.DUPLICATE if code in REFUSED else FailureCategory.UNKNOWN
        raise reply.uncertain("CinetPay may have this payment.", code=code, category=category)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        reply = self._call("/v2/payment/check", {"transaction_id": short(payment.reference)}, moves=False)
        code = code_of(reply)
        if code in WRONG_ACCOUNT:
            raise misconfigured(reply, "CinetPay refuses our key or site.", code=code)
        if code in UNKNOWN_TRANSACTION or reply.status == HTTP_NOT_FOUND:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        return _payment_from_them(reply, payment, self.configuration)

    def _opened(self, reply: Reply, request: CheckoutRequest) -> PaymentResult:
        fields = reply.fields()
        with reply.understood():
            data = fields["data"]
            url = data["payment_url"]
            if not isinstance(url, str) or not url.startswith("http"):
                raise ValueError(url)
            return PaymentResult(
                state=PaymentState.REQUIRES_ACTION,
                ids={"transaction": short(request.reference)},
                next_action=NextAction(
                    type=Flow.REDIRECT, url=url, expires_at=datetime.now(UTC) + self.configuration.link_lifetime
                ),
                raw=redacted(fields),
            )

    def _is_unknown(self, request: CheckoutRequest) -> bool:
        try:
            found = self.fetch_payment(PaymentRef(reference=request.reference, amount=request.amount))
        except GatewayError:
            return False
        return found.state is PaymentState.NOT_FOUND

    def _call(self, path: str, body: dict[str, Any], *, moves: bool, is_slow: bool = False) -> Reply:
        account = {"apikey": self.configuration.api_key, "site_id": self.configuration.site_id}
        return self._channel.call("POST", path, moves=moves, json={**account, **body}, is_slow=is_slow)


def _said(reply: Reply) -> str:
    fields = reply.fields_or_none()
    return redacted_text(f"{fields.get('message', '')}: {fields.get('description', '')}")


def _payment_to_them(request: CheckoutRequest) -> dict[str, Any]:
    buyer = request.buyer
    first, _, last = buyer.name.strip().partition(" ")
    known = {
        "customer_id": buyer.id,
        "customer_name": last or first,
        "customer_surname": first if last else "",
        "customer_email": buyer.email,
        "customer_phone_number": buyer.phone,
        "customer_country": buyer.country,
    }
    return {
        "transaction_id": short(request.reference),
        "amount": amounts.to_whole(request.amount, WHOLE),
        "currency": request.amount.unit,
        "description": _UNWANTED.sub(" ", request.description).strip()[:LONGEST_DESCRIPTION] or "Payment",
        "notify_url": request.notify_url,
        "return_url": request.success_url,
        "channels": "ALL",
        "lang": "fr" if buyer.locale.startswith("fr") else "en",
        "metadata": request.reference,
        **{name: value for name, value in known.items() if value},
    }


def _payment_from_them(reply: Reply, payment: PaymentRef, configuration: Configuration) -> PaymentResult:
    fields = reply.fields()
    with reply.understood():
        code, data = str(fields["code"]), fields.get("data") or {}
        status = str(data.get("status") or "")
        if code == ACCEPTED and status != "ACCEPTED":
            raise reply.uncertain("CinetPay says both paid and not paid.", code=f"{code} {status}")
        if code != ACCEPTED and code not in STATES:
            raise reply.uncertain("CinetPay's answer means nothing to us.", code=code)
        state = PaymentState.SUCCEEDED if code == ACCEPTED else STATES[code]
        if state is PaymentState.REQUIRES_ACTION and _is_over(payment, configuration):
            state, code = PaymentState.EXPIRED, "625"
        amount = amounts.read(data["amount"], data["currency"]) if "amount" in data else None
        if state is PaymentState.SUCCEEDED and amount is None:
            raise reply.uncertain("CinetPay does not say how much was paid.", code=code)
        return PaymentResult(
            state=state,
            ids={"transaction": short(payment.reference)},
            amount=amount,
            failure=Failure(category=CATEGORIES[code], code=code) if code in CATEGORIES else None,
            paid_at=_moment(data.get("payment_date")) if state is PaymentState.SUCCEEDED else None,
            raw=redacted(fields),
        )


def _is_over(payment: PaymentRef, configuration: Configuration) -> bool:
    """CinetPay does not say how long a link lives; one that nobody used for so long is taken as expired."""
    return payment.created_at is not None and datetime.now(UTC) - payment.created_at > configuration.link_lifetime


def _moment(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
