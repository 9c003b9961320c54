"""The newer API v1: one bearer token, and one resource each for payments and transfers."""

from datetime import UTC, datetime
from typing import Any

from billing.gateways import amounts, duplicates, phones
from billing.gateways.base import (
    Buyer,
    CheckoutRequest,
    Failure,
    Flow,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
)
from billing.gateways.cinetpay.configuration import NAME, Configuration
from billing.gateways.cinetpay.replies import WHOLE, code_of, says
from billing.gateways.errors import Declined, FailureCategory, GatewayError
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.references import fingerprint, short
from billing.gateways.tokens import Tokens, misconfigured, read_token

TOKEN_SECONDS = 86_400.0
FINE = "200"
EXISTS = "1200"
NOT_FOUND = "404"
STALE_TOKEN = ("1002", "1003")
WRONG_ACCOUNT = ("1005", "2011")
LONGEST_URL = 120
LONGEST_DESIGNATION = 255
SHORTEST_NAME = 2
DECLINED = {
    "1004": FailureCategory.INVALID_REQUEST,
    "2005": FailureCategory.INSUFFICIENT_FUNDS,
    "2006": FailureCategory.INVALID_PAYER,
    "2007": FailureCategory.INVALID_PAYER,
}
PAYMENT_STATES = {
    "100": PaymentState.SUCCEEDED,
    "2001": PaymentState.REQUIRES_ACTION,
    "2002": PaymentState.PENDING,
    "2003": PaymentState.EXPIRED,
    **dict.fromkeys(("2004", "2005", "2006", "2007", "2008", "2010", "2011"), PaymentState.FAILED),
}
PAYOUT_STATES = {
    "100": PayoutState.PAID,
    "2001": PayoutState.PENDING,
    "2002": PayoutState.IN_TRANSIT,
    **dict.fromkeys(("2003", "2005", "2006", "2007", "2010", "2011"), PayoutState.FAILED),
}
CATEGORIES = {
    "2003": FailureCategory.EXPIRED,
    "2004": FailureCategory.PAYER_DECLINED,
    "2005": FailureCategory.INSUFFICIENT_FUNDS,
    "2006": FailureCategory.INVALID_PAYER,
    "2007": FailureCategory.INVALID_PAYER,
    "2008": FailureCategory.EXPIRED,
    "2010": FailureCategory.PAYER_DECLINED,
    "2011": FailureCategory.CONFIGURATION,
}
OPERATORS = {"ORANGE": "OM", "OM": "OM", "MTN": "MTN", "MOOV": "MOOV", "WAVE": "WAVE", "FREE": "FREE",
             "AIRTEL": "AIRTEL", "TMONEY": "TMONEY", "EXPRESSO": "EXPRESSO", "MPESA": "MPESA"}  # fmt: skip


class ApiV1:
    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self._channel = Channel(gateway=NAME, base_url=configuration.v1_base_url, limits=limits)
        self._tokens = Tokens(self._fetch_token, margin_seconds=3_600)

    def check_health(self) -> None:
        self._fetch_token()

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        reply = self._call("POST", "/v1/payment", moves=True, json=_payment_to_them(request, self.configuration))
        code = code_of(reply)
        if code == FINE:
            return self._opened(reply)
        if code == EXISTS:
            again = PaymentRef(reference=request.reference, amount=request.amount)
            return duplicates.converge(reply, lambda: self.fetch_payment(again), code=code)
        raise _refusal(reply, code)

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        """The reply names no amount, and their page takes no other than ours: what is paid is what we asked for."""
        reply = self._call("GET", f"/v1/payment/{short(payment.reference)}", moves=False)
        code = code_of(reply)
        if code == NOT_FOUND:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        if code not in PAYMENT_STATES:
            raise reply.uncertain("CinetPay's answer means nothing to us.", code=code)
        return _payment_from_them(reply, code, payment)

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        body = _transfer_to_them(request)
        reply = self._call("POST", "/v1/transfer", moves=True, json=body, is_slow=True)
        code = code_of(reply)
        if code in PAYOUT_STATES and "transaction_id" in reply.fields():
            return _payout_from_them(reply, code, request)
        if code == FINE:
            return _payout_from_them(reply, "2001", request)
        if code == EXISTS:
            again = PayoutRef(reference=request.reference, amount=request.amount)
            return duplicates.converge(reply, lambda: self.fetch_payout(again), code=code)
        raise _refusal(reply, code)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        reply = self._call("GET", f"/v1/transfer/{short(payout.reference)}", moves=False)
        code = code_of(reply)
        if code == NOT_FOUND:
            return PayoutResult(state=PayoutState.NOT_FOUND)
        if code not in PAYOUT_STATES:
            raise reply.uncertain("CinetPay's answer means nothing to us.", code=code)
        return _payout_from_them(reply, code, payout)

    def _opened(self, reply: Reply) -> PaymentResult:
        fields = reply.fields()
        with reply.understood():
            url = fields["payment_url"]
            if not isinstance(url, str) or not url.startswith("http"):
                raise ValueError(url)
            expires_at = datetime.now(UTC) + self.configuration.link_lifetime
            return PaymentResult(
                state=PaymentState.REQUIRES_ACTION,
                ids={
                    "transaction": str(fields["merchant_transaction_id"]),
                    "notify_token_sha256": fingerprint(str(fields["notify_token"])),
                },
                next_action=NextAction(type=Flow.REDIRECT, url=url, expires_at=expires_at),
                raw=redacted(fields),
            )

    def _call(self, method: str, path: str, *, moves: bool, json: object = None, is_slow: bool = False) -> Reply:
        def ask(token: str) -> Reply:
            headers = {"Authorization": f"Bearer {token}"}
            return self._channel.call(method, path, moves=moves, json=json, headers=headers, is_slow=is_slow)

        return self._tokens.call(ask, is_refused=says(STALE_TOKEN))

    def _fetch_token(self) -> tuple[str, float]:
        keys = {"api_key": self.configuration.api_key, "api_password": self.configuration.api_password}
        reply = self._channel.call("POST", "/v1/oauth/login", moves=False, json=keys)
        if str(reply.fields_or_none().get("code", "")) in (*WRONG_ACCOUNT, "1004"):
            raise misconfigured(reply, "CinetPay refuses our key.")
        return read_token(reply, default_seconds=TOKEN_SECONDS)


def _refusal(reply: Reply, code: str) -> GatewayError:
    fields = reply.fields_or_none()
    said = redacted_text(str(fields.get("description") or fields.get("message") or "CinetPay says no."))
    if code in DECLINED:
        return Declined(said, gateway=NAME, category=DECLINED[code], code=code)
    if code in WRONG_ACCOUNT:
        return misconfigured(reply, said, code=code)
    return reply.uncertain(said, code=code)


def _payment_to_them(request: CheckoutRequest, configuration: Configuration) -> dict[str, Any]:
    urls = {
        "success_url": request.success_url,
        "failed_url": request.cancel_url,
        "notify_url": request.notify_url,
    }
    for name, url in urls.items():
        if len(url) > LONGEST_URL:
            raise Declined(f"{name} is longer than {LONGEST_URL} letters.", gateway=NAME,
                           category=FailureCategory.INVALID_REQUEST, code=name)  # fmt: skip
    email = request.buyer.email or configuration.contact_email
    if not email:
        raise Declined("CinetPay wants the buyer's mail address.", gateway=NAME,
                       category=FailureCategory.INVALID_PAYER, code="client_email")  # fmt: skip
    first, last = _names(request.buyer)
    return {
        "currency": request.amount.unit,
        "merchant_transaction_id": short(request.reference),
        "amount": amounts.to_whole(request.amount, WHOLE),
        "lang": "fr" if request.buyer.locale.startswith("fr") else "en",
        "designation": request.description[:LONGEST_DESIGNATION] or "Payment",
        "client_email": email,
        "client_first_name": first,
        "client_last_name": last,
        "channel": "PUSH",
        **urls,
        **({"client_phone_number": request.buyer.phone} if request.buyer.phone else {}),
    }


def _names(buyer: Buyer) -> tuple[str, str]:
    """Two names of at least two letters, which CinetPay insists on; a word for whoever told none."""
    first, _, last = buyer.name.strip().partition(" ")
    named = [each[:LONGEST_DESIGNATION] for each in (first, last.strip()) if len(each.strip()) >= SHORTEST_NAME]
    return (named[0], named[-1]) if named else ("Client", "Client")


def _transfer_to_them(request: PayoutRequest) -> dict[str, Any]:
    prefix, national = phones.split(request.destination.value, gateway=NAME)
    operator = OPERATORS.get(request.destination.operator.upper(), "")
    return {
        "currency": request.amount.unit,
        "merchant_transaction_id": short(request.reference),
        "phone_number": f"+{prefix}{national}",
        "amount": amounts.to_whole(request.amount, WHOLE),
        "reason": request.description[:LONGEST_DESIGNATION] or "Payout",
        "notify_url": request.notify_url,
        **({"payment_method": f"{operator}_{phones.CODES[prefix]}"} if operator else {}),
    }


def _payment_from_them(reply: Reply, code: str, payment: PaymentRef) -> PaymentResult:
    fields, transaction = reply.fields(), short(payment.reference)
    with reply.understood():
        if fields["merchant_transaction_id"] != transaction:
            raise reply.uncertain("CinetPay answered with another payment.", code="reference_mismatch")
        return PaymentResult(
            state=PAYMENT_STATES[code],
            ids={"transaction": transaction},
            amount=payment.amount,
            failure=Failure(category=CATEGORIES[code], code=code) if code in CATEGORIES else None,
            raw=redacted(fields),
        )


def _payout_from_them(reply: Reply, code: str, asked: PayoutRequest | PayoutRef) -> PayoutResult:
    fields, ours, unit = reply.fields(), short(asked.reference), asked.amount.unit
    with reply.understood():
        if (fields.get("merchant_transaction_id") or ours) != ours:
            raise reply.uncertain("CinetPay answered with another transfer.", code="reference_mismatch")
        fee = fields.get("fee_amount")
        return PayoutResult(
            state=PAYOUT_STATES[code],
            ids={
                "transfer": str(fields["transaction_id"]),
                "notify_token_sha256": fingerprint(str(fields.get("notify_token", ""))),
            },
            amount=amounts.read(fields["amount"], unit) if "amount" in fields else None,
            fee=amounts.read(fee, unit) if fee else None,
            failure=Failure(category=CATEGORIES[code], code=code) if code in CATEGORIES else None,
            raw=redacted(fields),
        )
