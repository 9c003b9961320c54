"""Checkout v2: apikey and site_id in every body, answers judged by their code."""

import secrets
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.cinetpay import notices, payments
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.cinetpay import CinetPay

CURRENCIES = {"XOF", "XAF", "CDF", "GNF", "USD"}
CHANNELS = {"ALL", "MOBILE_MONEY", "CREDIT_CARD", "WALLET"}
REQUIRED = ("transaction_id", "amount", "currency", "description", "notify_url", "return_url", "channels")
CARD_FIELDS = ("name", "surname", "email", "phone_number", "address", "city", "country", "zip_code")
LEAST = {"XOF": 100, "XAF": 100, "GNF": 100, "CDF": 400}
LARGEST = 2_500_000
STEP = 5
MOST_INVOICE_LINES = 3
CODES = {
    "WAITING": ("662", "WAITING_FOR_CUSTOMER"),
    "OTP": ("663", "PENDING"),
    "PENDING": ("623", "PENDING"),
    "ACCEPTED": ("00", "ACCEPTED"),
    "REFUSED": ("600", "REFUSED"),
    "POOR": ("602", "REFUSED"),
    "CANCELLED": ("627", "REFUSED"),
    "EXPIRED": ("625", ""),
}


class Refused(Exception):
    def __init__(self, code: str, message: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.reply = answer(code, message, description=description, status=status)


def lay_routes(gateway: "CinetPay") -> None:
    gateway.router.add("POST", "/v2/payment", lambda request: _tried(create, gateway, request))
    gateway.router.add("POST", "/v2/payment/check", lambda request: _tried(check, gateway, request))


def _tried(handler: Any, gateway: "CinetPay", request: Request) -> Reply:
    try:
        asked = request.json()
        if (asked.get("apikey"), str(asked.get("site_id"))) != (
            gateway.settings["apikey"],
            gateway.settings["site_id"],
        ):
            raise Refused("609", "AUTH_NOT_FOUND", "apikey or site_id is wrong.", 403)
        reply: Reply = handler(gateway, request, asked)
    except Refused as refused:
        return refused.reply
    return reply


def answer(code: str, message: str, *, status: int = 200, **more: Any) -> Reply:
    api_response_id = f"{secrets.randbelow(10**10)}.{secrets.randbelow(10**4)}"
    return json_reply({"code": code, "message": message, **more, "api_response_id": api_response_id}, status)


def create(gateway: "CinetPay", request: Request, asked: dict[str, Any]) -> Reply:
    if missing := [name for name in REQUIRED if asked.get(name) in (None, "")]:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", f"{', '.join(missing)} required.")
    amount_minor = checked_amount(asked["amount"], asked["currency"])
    _check_channel(asked)
    reference = str(asked["transaction_id"])
    if payments.by_reference(gateway, "v2", reference):
        raise Refused("624", "PROCESSING_ERROR", f"transaction_id {reference} already exists.")
    details = {
        "client_transaction_id": reference,
        "site_id": str(asked["site_id"]),
        "amount_minor": amount_minor,
        "currency": asked["currency"],
        "description": str(asked["description"]),
        "notify_url": str(asked["notify_url"]),
        "return_url": str(asked["return_url"]),
        "failed_url": "",
        "metadata": str(asked.get("metadata", "")),
        "language": str(asked.get("lang", "fr")),
        "phone": str(asked.get("customer_phone_number", "")),
        "customer_name": str(asked.get("customer_name", "")),
        "customer_email": str(asked.get("customer_email", "")),
    }
    made = payments.make(gateway, api="v2", base_url=request.base_url, details=details)
    data = {"payment_token": made["id"], "payment_url": made["page_url"]}
    return answer("201", "CREATED", description="Transaction created with success", data=data)


def checked_amount(amount: Any, currency: Any) -> int:
    if currency not in CURRENCIES:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", "The currency must be XOF, XAF, CDF, GNF or USD.")
    try:
        amount_minor = money.minor(amount if isinstance(amount, int) else str(amount), currency)
        whole = 0 if currency == "USD" else int(str(amount))
    except (money.NotAnAmount, ValueError):
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", "amount must be a whole number.") from None
    if currency != "USD" and whole % STEP:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", f"amount must be a multiple of {STEP}.")
    if amount_minor <= 0 or whole < LEAST.get(currency, 0):
        raise Refused("641", "ERROR_AMOUNT_TOO_LOW", "amount is under the minimum.")
    if whole > LARGEST:
        raise Refused("642", "ERROR_AMOUNT_TOO_HIGH", "amount is over the maximum.")
    return amount_minor


def _check_channel(asked: dict[str, Any]) -> None:
    if asked["channels"] not in CHANNELS:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", f"channels: one of {', '.join(sorted(CHANNELS))}.")
    if asked["channels"] == "CREDIT_CARD":
        missing = [f"customer_{name}" for name in CARD_FIELDS if not asked.get(f"customer_{name}")]
        if missing:
            raise Refused("624", "PROCESSING_ERROR", f"A card needs {', '.join(missing)}.")
    if len(asked.get("invoice_data") or {}) > MOST_INVOICE_LINES:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", "invoice_data has at most three entries.")


def check(gateway: "CinetPay", request: Request, asked: dict[str, Any]) -> Reply:
    reference = str(asked.get("token") or asked.get("transaction_id") or "")
    if not reference:
        raise Refused("608", "MINIMUM_REQUIRED_FIELDS", "transaction_id or token required.")
    payment = payments.by_reference(gateway, "v2", reference)
    if payment is None:
        raise Refused("723", "NOT_FOUND", "No such transaction.", 404)
    code, status = CODES[payment["state"]]
    is_paid = payment["state"] == "ACCEPTED"
    paid_at = notices.moment(payment["updated_at"]) if is_paid else ""
    data = {
        "amount": money.major(payment["amount_minor"], payment["currency"]).removesuffix(".00"),
        "currency": payment["currency"],
        "status": status,
        "payment_method": payment["method"] if is_paid else "",
        "description": payment["description"],
        "metadata": payment["metadata"],
        "operator_id": payment["operator_id"],
        "payment_date": paid_at,
        "fund_availability_date": notices.moment(payment["updated_at"] + 86_400) if is_paid else "",
    }
    return answer(code, payment["message"], data=data)
