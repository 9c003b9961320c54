"""The newer API v1: a bearer token, one resource for payments and one for transfers."""

import re
import secrets
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.cinetpay import checkout_v2, payments, transfers
from sandbox.wire import Handler, Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.cinetpay import CinetPay

TOKEN_SECONDS = 86_400
LONGEST_ID, LONGEST_ADDRESS = 30, 120
LEAST, LARGEST = 100, 2_500_000
REQUIRED = (
    *("currency", "merchant_transaction_id", "amount", "lang", "designation", "client_email"),
    *("client_first_name", "client_last_name", "success_url", "failed_url", "notify_url", "channel"),
)
CHANNELS = ("PUSH", "OTP", "QRCODE")
PHONE = re.compile(r"\+\d{8,15}")
CODES = {
    "WAITING": (2001, "INITIATED"),
    "OTP": (2002, "PENDING"),
    "PENDING": (2002, "PENDING"),
    "ACCEPTED": (100, "SUCCESS"),
    "REFUSED": (2010, "FAILED"),
    "POOR": (2005, "INSUFFICIENT_BALANCE"),
    "CANCELLED": (2010, "FAILED"),
    "EXPIRED": (2003, "EXPIRED"),
}
TRANSFER_CODES = {
    "NEW": (2001, "INITIATED"),
    "REC": (2002, "PENDING"),
    "VAL": (100, "SUCCESS"),
    "REJ": (2010, "FAILED"),
}


def lay_routes(gateway: "CinetPay") -> None:
    router = gateway.router
    router.add("POST", "/v1/oauth/login", lambda request: login(gateway, request))
    router.add("POST", "/v1/payment", _with_token(gateway, pay))
    router.add("GET", "/v1/payment/{reference}", _with_token(gateway, read_payment))
    router.add("POST", "/v1/transfer", _with_token(gateway, send))
    router.add("GET", "/v1/transfer/{reference}", _with_token(gateway, read_transfer))
    router.add("GET", "/v1/balances", _with_token(gateway, balances))


def _with_token(gateway: "CinetPay", handler: Any) -> Handler:
    def handle(request: Request, **names: str) -> Reply:
        expires_at = gateway.state["tokens"].get(request.bearer())
        if expires_at is None:
            return refusal(1002, "INVALID_TOKEN", "The token is unknown.", 401)
        if expires_at <= gateway.now():
            return refusal(1003, "EXPIRED_TOKEN", "The token has expired.", 401)
        reply: Reply = handler(gateway, request, **names)
        return reply

    return handle


def refusal(code: int, status: str, description: str, http: int = 400) -> Reply:
    return json_reply({"code": code, "status": status, "description": description}, http)


def login(gateway: "CinetPay", request: Request) -> Reply:
    asked = request.json()
    expected = (gateway.settings["api_key"], gateway.settings["api_password"])
    if (asked.get("api_key"), asked.get("api_password")) != expected:
        return refusal(1005, "INVALID_CREDENTIALS", "api_key or api_password is wrong.", 401)
    token = secrets.token_urlsafe(48)
    gateway.state["tokens"][token] = gateway.now() + TOKEN_SECONDS
    return json_reply({"code": 200, "status": "OK", "access_token": token})


def pay(gateway: "CinetPay", request: Request) -> Reply:
    asked = request.json()
    if wrong := _wrong_with_payment(asked):
        return refusal(1004, "INVALID_PARAMS", wrong)
    reference = str(asked["merchant_transaction_id"])
    if payments.by_reference(gateway, "v1", reference):
        return refusal(1200, "TRANSACTION_EXIST", f"{reference} is used already.")
    details = {
        "client_transaction_id": reference,
        "site_id": "",
        "amount_minor": money.minor(asked["amount"], asked["currency"]),
        "currency": asked["currency"],
        "description": str(asked["designation"]),
        "notify_url": str(asked["notify_url"]),
        "return_url": str(asked["success_url"]),
        "failed_url": str(asked["failed_url"]),
        "metadata": "",
        "language": str(asked["lang"]),
        "phone": str(asked.get("client_phone_number", "")),
        "customer_name": f"{asked['client_first_name']} {asked['client_last_name']}",
        "customer_email": str(asked["client_email"]),
    }
    made = payments.make(gateway, api="v1", base_url=request.base_url, details=details)
    return json_reply(
        {
            "code": 200,
            "status": "OK",
            "payment_token": made["id"],
            "notify_token": made["notify_token"],
            "transaction_id": made["transaction_id"],
            "merchant_transaction_id": reference,
            "payment_url": made["page_url"],
            "details": {"code": 2001, "status": "INITIATED", "message": "", "must_be_redirected": True},
        }
    )


def _wrong_with_payment(asked: dict[str, Any]) -> str:
    if missing := [name for name in REQUIRED if asked.get(name) in (None, "")]:
        return f"{', '.join(missing)} required."
    too_long = [name for name in ("success_url", "failed_url", "notify_url") if len(asked[name]) > LONGEST_ADDRESS]
    if too_long or len(str(asked["merchant_transaction_id"])) > LONGEST_ID:
        return f"Too long: {', '.join(too_long) or 'merchant_transaction_id'}."
    if asked["channel"] not in CHANNELS or asked["lang"] not in ("fr", "en"):
        return "channel is PUSH, OTP or QRCODE; lang is fr or en."
    return _wrong_with_amount(asked)


def _wrong_with_amount(asked: dict[str, Any]) -> str:
    amount = asked.get("amount")
    if asked.get("currency") not in checkout_v2.CURRENCIES:
        return "The currency must be XOF, XAF, CDF, GNF or USD."
    if isinstance(amount, bool) or not isinstance(amount, int) or not LEAST <= amount <= LARGEST:
        return f"amount is a whole number from {LEAST} to {LARGEST}."
    return ""


def read_payment(gateway: "CinetPay", request: Request, reference: str) -> Reply:
    payment = payments.by_reference(gateway, "v1", reference)
    if payment is None:
        return refusal(404, "NOT_FOUND", "No such payment.", 404)
    code, status = CODES[payment["state"]]
    user = {"name": payment["customer_name"], "email": payment["customer_email"], "phone_number": payment["phone"]}
    return json_reply(
        {
            "code": code,
            "status": status,
            "merchant_transaction_id": payment["client_transaction_id"],
            "transaction_id": payment["transaction_id"],
            "user": user,
        }
    )


def send(gateway: "CinetPay", request: Request) -> Reply:
    asked = request.json()
    number = str(asked.get("phone_number", ""))
    reference = str(asked.get("merchant_transaction_id", ""))
    if wrong := _wrong_with_amount(asked):
        return refusal(1004, "INVALID_PARAMS", wrong)
    if not PHONE.fullmatch(number) or not 1 <= len(reference) <= LONGEST_ID or not asked.get("notify_url"):
        return refusal(1004, "INVALID_PARAMS", "phone_number, merchant_transaction_id and notify_url are required.")
    if transfers.by_reference(gateway, "v1", reference):
        return refusal(1200, "TRANSACTION_EXIST", f"{reference} is used already.")
    if asked["amount"] > transfers.available(gateway):
        return refusal(2005, "INSUFFICIENT_BALANCE", "The account holds too little.")
    made = transfers.make(
        gateway,
        api="v1",
        reference=reference,
        number=number.removeprefix("+"),
        phone=number,
        amount=asked["amount"],
        currency=asked["currency"],
        notify_url=str(asked["notify_url"]),
        method=str(asked.get("payment_method", "")),
    )
    return json_reply(_transfer_shown(made))


def read_transfer(gateway: "CinetPay", request: Request, reference: str) -> Reply:
    transfer = transfers.by_reference(gateway, "v1", reference)
    if transfer is None:
        return refusal(404, "NOT_FOUND", "No such transfer.", 404)
    return json_reply(_transfer_shown(transfer))


def _transfer_shown(transfer: dict[str, Any]) -> dict[str, Any]:
    code, status = TRANSFER_CODES[transfer["treatment_status"]]
    return {
        "code": code,
        "status": status,
        "transaction_id": transfer["transaction_id"],
        "merchant_transaction_id": transfer["client_transaction_id"],
        "notify_token": transfer["notify_token"],
        "amount": transfer["amount"],
        "fee_amount": 0,
        "currency": transfer["currency"],
    }


def balances(gateway: "CinetPay", request: Request) -> Reply:
    return json_reply({"available_balance": transfers.available(gateway), "currency": "XOF"})
