"""The transfer API of the older accounts: a token in the URL, JSON in one form field, outcomes a moment later."""

import json
import secrets
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.books import Entry
from sandbox.cinetpay import notices, operators
from sandbox.wire import Handler, Malformed, Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.cinetpay import CinetPay

TOKEN_SECONDS = 300
PROCESSING_SECONDS = 1
STEP = 5
LEAST, LARGEST = 100, 1_500_000
# CinetPay has no sandbox, so these endings of a receiver's number are ours.
REJECTED, SLOW, WANTS_CONFIRMATION, OPERATOR_AWAY = "90", "91", "92", "93"
CURRENCIES = {"225": "XOF", "221": "XOF", "223": "XOF", "226": "XOF", "228": "XOF", "229": "XOF", "227": "XOF"}
CURRENCIES |= {"237": "XAF", "224": "GNF", "243": "CDF"}
STATES = {"NEW": "pending", "REC": "pending", "NOS": "pending", "VAL": "paid", "REJ": "failed"}


def lay_routes(gateway: "CinetPay") -> None:
    router = gateway.router
    router.add("POST", "/v1/auth/login", lambda request: login(gateway, request))
    for method, path, handler in (
        ("GET", "/v1/transfer/check/balance", balance),
        ("POST", "/v1/transfer/contact", add_contacts),
        ("POST", "/v1/transfer/money/send/contact", send),
        ("GET", "/v1/transfer/check/money", check),
    ):
        router.add(method, path, _with_token(gateway, handler))


def _with_token(gateway: "CinetPay", handler: Any) -> Handler:
    def handle(request: Request) -> Reply:
        token = request.query.get("token", "")
        expires_at = gateway.state["tokens"].get(token)
        if expires_at is None:
            return answer(706, "INVALID_TOKEN", status=401)
        if expires_at <= gateway.now():
            return answer(705, "EXPIRED_TOKEN", status=401)
        reply: Reply = handler(gateway, request)
        return reply

    return handle


def answer(code: int, message: str, data: Any = None, *, status: int = 200) -> Reply:
    return json_reply({"code": code, "message": message, **({} if data is None else {"data": data})}, status)


def login(gateway: "CinetPay", request: Request) -> Reply:
    form = request.form()
    expected = (gateway.settings["apikey"], gateway.settings["transfer_password"])
    if (form.get("apikey"), form.get("password")) != expected:
        return answer(701, "INVALID_CREDENTIALS", status=401)
    token = "eyJ" + secrets.token_urlsafe(40)
    gateway.state["tokens"][token] = gateway.now() + TOKEN_SECONDS
    return answer(0, "OPERATION_SUCCES", {"token": token})


def available(gateway: "CinetPay") -> int:
    """What is left of the float: money on its way counts as gone, rejected money comes back."""
    gone = [each for each in gateway.state["transfers"].values() if each["treatment_status"] != "REJ"]
    return int(gateway.settings["balance"]) - sum(int(each["amount"]) for each in gone)


def balance(gateway: "CinetPay", request: Request) -> Reply:
    total, left = int(gateway.settings["balance"]), available(gateway)
    return answer(0, "OPERATION_SUCCES", {"amount": total, "inUsing": total - left, "available": left})


def _data(request: Request) -> list[dict[str, Any]]:
    try:
        data = json.loads(request.form().get("data", ""))
    except ValueError as error:
        raise Malformed(str(error)) from error
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise Malformed("data is a list of objects.")
    return data


def add_contacts(gateway: "CinetPay", request: Request) -> Reply:
    try:
        wanted = _data(request)
    except Malformed:
        return answer(718, "JSON_PARSE_ERROR", status=400)
    answered = []
    for each in wanted:
        number = f"{each.get('prefix', '')}{each.get('phone', '')}"
        if not number.isdecimal() or each.get("prefix") not in CURRENCIES:
            return answer(802, "INVALID_PHONE", status=400)
        is_known = number in gateway.state["contacts"]
        gateway.state["contacts"].setdefault(number, {"lot": secrets.token_hex(10)})
        code, status = (726, "ERROR_PHONE_ALREADY_MY_CONTACT") if is_known else (0, "success")
        answered.append({**each, "code": code, "status": status, "lot": gateway.state["contacts"][number]["lot"]})
    return answer(0, "OPERATION_SUCCES", [answered])


def send(gateway: "CinetPay", request: Request) -> Reply:
    try:
        wanted = _data(request)
    except Malformed:
        return answer(718, "JSON_PARSE_ERROR", status=400)
    answered = []
    for each in wanted:
        if refusal := _refusal(gateway, each):
            return answer(*refusal, status=400)
        number = f"{each['prefix']}{each['phone']}"
        transfer = make(
            gateway,
            api="legacy",
            reference=str(each["client_transaction_id"]),
            number=number,
            phone=str(each["phone"]),
            amount=int(each["amount"]),
            currency=CURRENCIES[each["prefix"]],
            notify_url=str(each["notify_url"]),
            method=str(each.get("payment_method") or operators.method_of(number, default="OM")),
        )
        shown = {name: transfer[name] for name in ("treatment_status", "transaction_id", "lot")}
        answered.append({**each, **shown, "code": 0, "status": "success"})
    return answer(0, "OPERATION_SUCCES", answered)


def _refusal(gateway: "CinetPay", asked: dict[str, Any]) -> tuple[int, str] | None:
    number = f"{asked.get('prefix', '')}{asked.get('phone', '')}"
    reference = asked.get("client_transaction_id")
    amount = asked.get("amount")
    is_whole = str(amount).isdecimal()
    for is_wrong, code, message in (
        (not asked.get("notify_url"), 725, "MISSING_NOTIFY_URL"),
        (not reference or by_reference(gateway, "legacy", str(reference)), 805, "CLIENT_TRANSACTION_ID_EXIST"),
        (not number.isdecimal() or asked.get("prefix") not in CURRENCIES, 802, "INVALID_PHONE"),
        (number not in gateway.state["contacts"], 724, "ERROR_PHONE_NOT_MY_CONTACT"),
        (not is_whole or int(str(amount)) % STEP, 801, "INVALID_AMOUNT"),
        (is_whole and int(str(amount)) < LEAST, 719, "AMOUNT_TOO_SMALL"),
        (is_whole and int(str(amount)) > LARGEST, 720, "AMOUNT_TOO_LARGE"),
        (number.endswith(OPERATOR_AWAY), 804, "OPERATOR_UNAVAILABLE"),
        (is_whole and int(str(amount)) > available(gateway), 602, "INSUFFICIENT_BALANCE"),
    ):
        if is_wrong:
            return code, message
    return None


def make(
    gateway: "CinetPay",
    *,
    api: str,
    reference: str,
    number: str,
    phone: str,
    amount: int,
    currency: str,
    notify_url: str,
    method: str,
) -> dict[str, Any]:
    now = gateway.now()
    transfer: dict[str, Any] = {
        "transaction_id": "EA" + secrets.token_hex(8).upper(),
        "api": api,
        "client_transaction_id": reference,
        "lot": secrets.token_hex(10),
        "number": number,
        "receiver": phone,
        "amount": amount,
        "currency": currency,
        "notify_url": notify_url,
        "notify_token": secrets.token_hex(16),
        "operator": method,
        "operator_id": "",
        "sending_status": "PENDING" if number.endswith(WANTS_CONFIRMATION) else "CONFIRM",
        "treatment_status": "NEW",
        "created_at": now,
        "updated_at": now,
    }
    gateway.state["transfers"][transfer["transaction_id"]] = transfer
    return transfer


def by_reference(gateway: "CinetPay", api: str, reference: str) -> dict[str, Any] | None:
    for transfer in gateway.state["transfers"].values():
        if transfer["api"] == api and reference in (transfer["client_transaction_id"], transfer["transaction_id"]):
            found: dict[str, Any] = transfer
            return found
    return None


def conclude_due(gateway: "CinetPay") -> None:
    for transfer in gateway.state["transfers"].values():
        is_new = transfer["treatment_status"] == "NEW" and transfer["sending_status"] == "CONFIRM"
        if is_new and transfer["created_at"] + PROCESSING_SECONDS <= gateway.now():
            _conclude(gateway, transfer)


def _conclude(gateway: "CinetPay", transfer: dict[str, Any]) -> None:
    status = "REJ" if transfer["number"].endswith(REJECTED) else "VAL"
    if transfer["number"].endswith(SLOW):
        status = "REC"
    transfer |= {"treatment_status": status, "updated_at": gateway.now()}
    if status == "VAL":
        transfer["operator_id"] = "MP" + secrets.token_hex(6).upper()
    notices.of_transfer(gateway, transfer)


def check(gateway: "CinetPay", request: Request) -> Reply:
    reference = request.query.get("transaction_id") or request.query.get("client_transaction_id") or ""
    transfer = by_reference(gateway, "legacy", reference)
    if transfer is None:
        return answer(723, "NOT_FOUND", status=404)
    is_valid = transfer["treatment_status"] == "VAL"
    names = ("transaction_id", "client_transaction_id", "lot", "receiver", "operator", "sending_status")
    shown = {name: transfer[name] for name in (*names, "treatment_status")}
    shown |= {
        "amount": str(transfer["amount"]),
        "receiver_e164": f"+{transfer['number']}",
        "transfer_valid": "Y" if is_valid else "N",
        "comment": "",
        "validated_at": notices.moment(transfer["updated_at"]) if is_valid else None,
    }
    return answer(0, "OPERATION_SUCCES", [shown])


def books(gateway: "CinetPay") -> list[Entry]:
    return [
        Entry(
            kind="payout",
            id=transfer["transaction_id"],
            reference=transfer["client_transaction_id"],
            amount_minor=money.minor(transfer["amount"], transfer["currency"]),
            currency=transfer["currency"],
            state=STATES[transfer["treatment_status"]],
            gateway_state=f"{transfer['sending_status']} {transfer['treatment_status']}",
            created_at=transfer["created_at"],
            updated_at=transfer["updated_at"],
        )
        for transfer in gateway.state["transfers"].values()
    ]
