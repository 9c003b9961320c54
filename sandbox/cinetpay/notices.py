"""CinetPay's notifications: a form signed by x-token, an unsigned form for transfers, JSON with a token in API v1."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox import money
from sandbox.letters import Envelope, Letter

if TYPE_CHECKING:
    from sandbox.cinetpay import CinetPay

SIGNED_FIELDS = (
    *("cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature", "payment_method"),
    *("cel_phone_num", "cpm_phone_prefixe", "cpm_language", "cpm_version", "cpm_payment_config", "cpm_page_action"),
    *("cpm_custom", "cpm_designation", "cpm_error_message"),
)
FORGER = "not-the-secret-key"
AGENT = {"User-Agent": "CinetPay"}


def of_payment(gateway: "CinetPay", payment: dict[str, Any]) -> None:
    """Tell the shop that a payment moved: first an empty GET, to see whether anybody is there, then the letter."""
    url = payment["notify_url"]
    subject = f"{payment['state']} {payment['transaction_id']}"
    if payment["api"] == "v2":
        gateway.notify(url, subject=f"ping {payment['transaction_id']}", content={"kind": "ping"}, method="GET")
    gateway.notify(url, subject=subject, content=_content(gateway, payment))


def tempt(gateway: "CinetPay", payment: dict[str, Any]) -> None:
    content = _content(gateway, payment)
    gateway.tempt(payment["notify_url"], subject=f"ACCEPTED {payment['transaction_id']}", content=content)


def of_transfer(gateway: "CinetPay", transfer: dict[str, Any]) -> None:
    if transfer["api"] == "v1":
        content = {"kind": "v1", "body": _tokens(transfer)}
    else:
        names = ("transaction_id", "client_transaction_id", "lot", "amount", "receiver", "sending_status")
        form = {name: str(transfer[name]) for name in (*names, "treatment_status")}
        form |= {"comment": "", "operator_transaction_id": transfer["operator_id"], "validated_at": ""}
        content = {"kind": "transfer", "form": form}
    subject = f"{transfer['treatment_status']} {transfer['client_transaction_id']}"
    gateway.notify(transfer["notify_url"], subject=subject, content=content)


def _content(gateway: "CinetPay", payment: dict[str, Any]) -> dict[str, Any]:
    if payment["api"] == "v1":
        user = {"name": payment["customer_name"], "email": payment["customer_email"], "phone_number": payment["phone"]}
        return {"kind": "v1", "body": {**_tokens(payment), "user": user}}
    form = {
        "cpm_site_id": payment["site_id"],
        "cpm_trans_id": payment["client_transaction_id"],
        "cpm_trans_date": moment(payment["updated_at"]),
        "cpm_amount": _wire(payment["amount_minor"], payment["currency"]),
        "cpm_currency": payment["currency"],
        "signature": payment["id"],
        "payment_method": payment["method"],
        "cel_phone_num": payment["phone"],
        "cpm_phone_prefixe": payment["prefix"],
        "cpm_language": payment["language"],
        "cpm_version": "V4",
        "cpm_payment_config": "SINGLE",
        "cpm_page_action": "PAYMENT",
        "cpm_custom": payment["metadata"],
        "cpm_designation": payment["description"],
        "cpm_error_message": payment["message"],
    }
    return {"kind": "payment", "form": form, "key": gateway.settings["secret_key"]}


def _tokens(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "notify_token": record["notify_token"],
        "merchant_transaction_id": record["client_transaction_id"],
        "transaction_id": record["transaction_id"],
    }


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _wire(amount_minor: int, currency: str) -> str:
    value = money.major(amount_minor, currency)
    return value if currency == "USD" else value.partition(".")[0]


def seal(gateway: "CinetPay", letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
    if content["kind"] == "ping":
        return Envelope(headers=AGENT, body=b"")
    if content["kind"] == "v1":
        body = content["body"] if is_genuine else {**content["body"], "notify_token": "0" * 32}
        return Envelope(headers={**AGENT, "Content-Type": "application/json"}, body=json.dumps(body).encode())
    headers = {**AGENT, "Content-Type": "application/x-www-form-urlencoded"}
    if content["kind"] == "payment":
        headers["x-token"] = token(content["form"], content["key"] if is_genuine else FORGER)
    return Envelope(headers=headers, body=urlencode(content["form"]).encode())


def token(form: dict[str, str], key: str) -> str:
    """HMAC over the values in CinetPay's order, with nothing between them."""
    joined = "".join(form.get(name, "") for name in SIGNED_FIELDS)
    return hmac.new(key.encode(), joined.encode(), hashlib.sha256).hexdigest()


def with_wrong_amount(content: dict[str, Any]) -> dict[str, Any]:
    if content["kind"] != "payment":
        return content
    form = content["form"]
    return {**content, "form": {**form, "cpm_amount": form["cpm_amount"] + "0"}}


def claiming_success(content: dict[str, Any]) -> dict[str, Any]:
    if content["kind"] != "payment":
        return content
    return {**content, "form": {**content["form"], "cpm_error_message": "SUCCES"}}
