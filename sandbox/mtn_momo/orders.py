"""What a request to pay, a transfer and a refund have in common: their checks, their shape, their callbacks."""

import secrets
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.mtn_momo import access
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.mtn_momo import MtnMomo

LONGEST_TEXT = 160
FORBIDDEN = set("\"'&<>")
PARTY_TYPES = ("MSISDN", "EMAIL", "PARTY_CODE")


class Refused(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def checked(gateway: "MtnMomo", request: Request, *, currency: str, party: str) -> dict[str, Any]:
    """The order that a request asks for, not stored yet; `party` is payer, payee or nothing."""
    reference = request.header("X-Reference-Id")
    if not access.is_uuid(reference):
        raise Refused(access.bad_request("X-Reference-Id must be a UUID."))
    if reference in gateway.state["collections"] or reference in gateway.state["disbursements"]:
        message = "Duplicated reference id. Creation of resource failed."
        raise Refused(access.refusal(409, "RESOURCE_ALREADY_EXIST", message))
    callback_url = request.header("X-Callback-Url")
    if access.is_wrong_callback(gateway, callback_url):
        raise Refused(access.refusal(500, "INVALID_CALLBACK_URL_HOST", "Callback URL with different host name."))
    asked = request.json()
    _check_texts(asked)
    if asked.get("currency") != currency:
        raise Refused(access.refusal(500, "INVALID_CURRENCY", "Currency not supported."))
    order: dict[str, Any] = {
        "id": reference,
        "amount": asked.get("amount"),
        "amount_minor": _amount(asked.get("amount"), currency),
        "currency": currency,
        "external_id": str(asked.get("externalId", "")),
        "payer_message": str(asked.get("payerMessage", "")),
        "payee_note": str(asked.get("payeeNote", "")),
        "party": party,
        "party_id": "",
        "party_type": "MSISDN",
        "status": "PENDING",
        "reason": "",
        "financial_id": "",
        "callback_url": callback_url,
        "due_at": 0.0,
        "outcome": "",
        "created_at": gateway.now(),
        "updated_at": gateway.now(),
    }
    if party:
        order |= _party(asked.get(party))
    return order


def _check_texts(asked: dict[str, Any]) -> None:
    for name in ("payerMessage", "payeeNote", "externalId"):
        value = str(asked.get(name, ""))
        if len(value) > LONGEST_TEXT:
            raise Refused(access.bad_request(f"{name} is too long."))
        if set(value) & FORBIDDEN:
            raise Refused(access.rejected_by_filter())


def _amount(amount: Any, currency: str) -> int:
    if not isinstance(amount, str):
        raise Refused(access.bad_request("amount is a text."))
    if money.exponent(currency) == 0 and not amount.isdecimal():
        raise Refused(access.bad_request(f"{currency} has no decimals."))
    try:
        amount_minor = money.minor(amount, currency)
    except money.NotAnAmount as error:
        raise Refused(access.bad_request(str(error))) from None
    if amount_minor <= 0:
        raise Refused(access.bad_request("amount must be positive."))
    return amount_minor


def _party(party: Any) -> dict[str, str]:
    if not isinstance(party, dict) or party.get("partyIdType") not in PARTY_TYPES:
        raise Refused(access.bad_request("The party needs a partyIdType and a partyId."))
    number = str(party.get("partyId", ""))
    if party["partyIdType"] == "MSISDN" and not (number.isdecimal() and 8 <= len(number) <= 15):  # noqa: PLR2004 - E.164
        raise Refused(access.bad_request("partyId is a number with its country code and no plus."))
    return {"party_id": number, "party_type": party["partyIdType"]}


def tried(handler: Any) -> Any:
    """A handler whose refusals are answers."""

    def handle(gateway: "MtnMomo", request: Request, **names: str) -> Reply:
        try:
            reply: Reply = handler(gateway, request, **names)
        except Refused as refused:
            return refused.reply
        return reply

    return handle


def conclude(gateway: "MtnMomo", order: dict[str, Any], status: str, reason: str = "") -> None:
    order |= {"status": status, "reason": reason, "updated_at": gateway.now()}
    if status == "SUCCESSFUL":
        order["financial_id"] = str(secrets.randbelow(9 * 10**9) + 10**9)
    subject = f"{status} {order['id']}"
    method = gateway.settings["callback_method"]
    gateway.notify(order["callback_url"], subject=subject, content=shown(order), method=method)


def shown(order: dict[str, Any]) -> dict[str, Any]:
    """The status reply, which the callback repeats. It does not name its own reference."""
    answer: dict[str, Any] = {
        "amount": order["amount"],
        "currency": order["currency"],
        "externalId": order["external_id"],
        "payerMessage": order["payer_message"],
        "payeeNote": order["payee_note"],
        "status": order["status"],
    }
    if order["party"]:
        answer[order["party"]] = {"partyIdType": order["party_type"], "partyId": order["party_id"]}
    if order["financial_id"]:
        answer["financialTransactionId"] = order["financial_id"]
    if order["reason"]:  # MTN writes it in two ways; money in has one here, money out the other
        is_payment = order["party"] == "payer"
        answer["reason"] = order["reason"] if is_payment else {"code": order["reason"], "message": order["reason"]}
    return answer


def read(table: str) -> Any:
    def handle(gateway: "MtnMomo", request: Request, *, currency: str, reference: str) -> Reply:
        order = gateway.state[table].get(reference)
        if order is None:
            return access.refusal(404, "RESOURCE_NOT_FOUND", "Requested resource was not found.")
        return json_reply(shown(order))

    return handle
