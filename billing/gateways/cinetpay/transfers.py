"""The transfer API of the older accounts: money out to a wallet whose number was made a contact first."""

from json import dumps
from typing import Any

from billing.gateways import amounts, duplicates, phones
from billing.gateways.base import (
    Failure,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
)
from billing.gateways.cinetpay.configuration import NAME, Configuration
from billing.gateways.cinetpay.replies import WHOLE, code_of, says
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Uncertain
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.references import short
from billing.gateways.tokens import Tokens, misconfigured

TOKEN_SECONDS = 300.0
FINE = "0"
EXISTS = "805"
NOT_FOUND = "723"
CONTACT_EXISTS = "726"
STALE_TOKEN = ("705", "706")
NOT_ALLOWED = ("701", "702", "703", "704", "707", "708", "709", "710")
LATER = ("721", "804", "724")
DECLINED = {
    "602": FailureCategory.INSUFFICIENT_FUNDS,
    "718": FailureCategory.INVALID_REQUEST,
    "719": FailureCategory.LIMIT,
    "720": FailureCategory.LIMIT,
    "725": FailureCategory.INVALID_REQUEST,
    "801": FailureCategory.INVALID_REQUEST,
    "802": FailureCategory.INVALID_PAYER,
}
STATES = {
    "NEW": PayoutState.PENDING,
    "REC": PayoutState.IN_TRANSIT,
    "NOS": PayoutState.IN_TRANSIT,
    "VAL": PayoutState.PAID,
    "REJ": PayoutState.FAILED,
}


class Transfers:
    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self._channel = Channel(gateway=NAME, base_url=configuration.transfer_base_url, limits=limits)
        self._tokens = Tokens(self._fetch_token, margin_seconds=60)

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        """Safe to repeat: CinetPay takes a client_transaction_id once."""
        contact, order = _contact_to_them(request, self.configuration), _transfer_to_them(request)
        self._add_contact(contact)
        path = "/v1/transfer/money/send/contact"
        reply = self._call("POST", path, moves=True, form={"data": dumps([order])}, is_slow=True)
        code = code_of(reply)
        if code == FINE:
            code = _code_of_item(reply)
        if code == FINE:
            return _payout_from_them(reply, request)
        if code == EXISTS:
            again = PayoutRef(reference=request.reference, amount=request.amount)
            return duplicates.converge(reply, lambda: self.fetch_payout(again), code=code)
        raise _refusal(reply, code)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        query = {"client_transaction_id": short(payout.reference)}
        reply = self._call("GET", "/v1/transfer/check/money", moves=False, query=query)
        code = code_of(reply)
        if code == NOT_FOUND:
            return PayoutResult(state=PayoutState.NOT_FOUND)
        if code != FINE:
            raise reply.uncertain("CinetPay does not say how the transfer stands.", code=code)
        return _payout_from_them(reply, payout)

    def _add_contact(self, contact: dict[str, str]) -> None:
        """No money moves here: whatever goes wrong leaves us free to try again."""
        path = "/v1/transfer/contact"
        reply = self._call("POST", path, moves=False, form={"data": dumps([contact])})
        try:
            code = code_of(reply)
            code = _code_of_item(reply) if code == FINE else code
        except Uncertain as broken:
            raise reply.unavailable("CinetPay's answer cannot be read.", code="unreadable") from broken
        if code in (FINE, CONTACT_EXISTS):
            return
        refused = _refusal(reply, code)
        if isinstance(refused, Uncertain):
            raise reply.unavailable("CinetPay does not take the contact.", code=code)
        raise refused

    def _call(
        self,
        method: str,
        path: str,
        *,
        moves: bool,
        form: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        is_slow: bool = False,
    ) -> Reply:
        def ask(token: str) -> Reply:
            asked = {"token": token, "lang": "fr", **(query or {})}
            return self._channel.call(method, path, moves=moves, form=form, query=asked, is_slow=is_slow)

        return self._tokens.call(ask, is_refused=says(STALE_TOKEN))

    def _fetch_token(self) -> tuple[str, float]:
        form = {"apikey": self.configuration.api_key, "password": self.configuration.transfer_password}
        reply = self._channel.call("POST", "/v1/auth/login", moves=False, form=form, query={"lang": "fr"})
        fields = reply.fields_or_none()
        if str(fields.get("code", "")) in NOT_ALLOWED:
            raise misconfigured(reply, "CinetPay refuses our transfer password.", code=str(fields["code"]))
        data = fields.get("data")
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not token:
            raise reply.unavailable("CinetPay gives no token.")
        return token, TOKEN_SECONDS


def _item(reply: Reply) -> dict[str, Any]:
    """The one thing in `data`, which is a list, or a list in a list."""
    found = reply.fields()["data"]
    while isinstance(found, list):
        found = found[0]
    if not isinstance(found, dict):
        raise TypeError(found)
    return found


def _code_of_item(reply: Reply) -> str:
    with reply.understood():
        return str(_item(reply).get("code", FINE))


def _refusal(reply: Reply, code: str) -> GatewayError:
    said = redacted_text(str(reply.fields_or_none().get("message", "CinetPay says no.")))
    if code in DECLINED:
        return Declined(said, gateway=NAME, category=DECLINED[code], code=code)
    if code in NOT_ALLOWED:
        return misconfigured(reply, said, code=code)
    if code in LATER:
        return reply.unavailable(said, code=code)
    return reply.uncertain(said, code=code)


def _contact_to_them(request: PayoutRequest, configuration: Configuration) -> dict[str, str]:
    prefix, number = phones.split(request.destination.value, gateway=NAME)
    first, _, last = request.destination.name.strip().partition(" ")
    contact = {"prefix": prefix, "phone": number, "name": last or first or number, "surname": first or number}
    return contact | ({"email": configuration.contact_email} if configuration.contact_email else {})


def _transfer_to_them(request: PayoutRequest) -> dict[str, Any]:
    prefix, number = phones.split(request.destination.value, gateway=NAME)
    order: dict[str, Any] = {
        "prefix": prefix,
        "phone": number,
        "amount": amounts.to_whole(request.amount, WHOLE),
        "client_transaction_id": short(request.reference),
        "notify_url": request.notify_url,
    }
    # CinetPay finds the operator by the number; Wave lives on numbers of others and must be named.
    if request.destination.operator.upper() == "WAVE":
        order["payment_method"] = f"WAVE{phones.CODES[prefix]}"
    return order


def _payout_from_them(reply: Reply, asked: PayoutRequest | PayoutRef) -> PayoutResult:
    ours = short(asked.reference)
    with reply.understood():
        item = _item(reply)
        if (item.get("client_transaction_id") or ours) != ours:
            raise reply.uncertain("CinetPay answered with another transfer.", code="reference_mismatch")
        state = STATES[item["treatment_status"]]
        if state is PayoutState.PENDING and item.get("sending_status") == "PENDING":
            state = PayoutState.NEEDS_APPROVAL  # our address is not on CinetPay's list: somebody confirms by mail
        failed = state is PayoutState.FAILED
        return PayoutResult(
            state=state,
            ids={"transfer": str(item["transaction_id"])},
            amount=amounts.read(item["amount"], asked.amount.unit),
            failure=Failure(category=FailureCategory.UNKNOWN, code=str(item["treatment_status"])) if failed else None,
            raw=redacted(item),
        )
