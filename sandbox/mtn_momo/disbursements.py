"""Money out: transfers, deposits and refunds, with MTN's test numbers and test references."""

from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.books import Entry
from sandbox.mtn_momo import access, orders
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.mtn_momo import MtnMomo

PROCESSING_SECONDS = 1
SLOW_SECONDS = 30
DELAYED_SECONDS = 600
TRANSFER_OUTCOMES = {
    "46733123450": "INTERNAL_PROCESSING_ERROR",
    "46733123451": "APPROVAL_REJECTED",
    "46733123452": "EXPIRED",
    "46733123455": "NOT_ENOUGH_FUNDS",
    "46733123456": "PAYER_LIMIT_REACHED",
    "46733123457": "PAYEE_NOT_FOUND",
    "46733123458": "NOT_ALLOWED",
    "46733123459": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "46733123460": "INVALID_CALLBACK_URL_HOST",
    "46733123461": "INVALID_CURRENCY",
    "46733123462": "INTERNAL_PROCESSING_ERROR",
    "46733123463": "SERVICE_UNAVAILABLE",
    "46733123464": "TRANSFER_TYPE_UNKNOWN",
}
TRANSFER_DELAYS = {"46733123453": SLOW_SECONDS, "46733123454": DELAYED_SECONDS}
REFUND_OUTCOMES = {
    "1": "RESOURCE_NOT_FOUND",
    "2": "INTERNAL_PROCESSING_ERROR",
    "3": "APPROVAL_REJECTED",
    "4": "EXPIRED",
    "7": "NOT_ALLOWED",
    "8": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "9": "INVALID_CALLBACK_URL_HOST",
    "10": "INVALID_CURRENCY",
    "11": "INTERNAL_PROCESSING_ERROR",
    "12": "SERVICE_UNAVAILABLE",
    "13": "COULD_NOT_PERFORM_TRANSACTION",
}
REFUND_DELAYS = {"5": SLOW_SECONDS, "6": DELAYED_SECONDS}
STATES = {"PENDING": "pending", "SUCCESSFUL": "paid", "FAILED": "failed"}


def lay_routes(gateway: "MtnMomo") -> None:
    def add(method: str, path: str, handler: Any) -> None:
        gateway.router.add(method, f"/disbursement{path}", access.guard(gateway, "disbursement", handler))

    for kind in ("v1_0/transfer", "v1_0/deposit", "v2_0/deposit"):
        add("POST", f"/{kind}", orders.tried(transfer))
        add("GET", f"/{kind}/{{reference}}", orders.read("disbursements"))
    for version in ("v1_0", "v2_0"):
        add("POST", f"/{version}/refund", orders.tried(refund))
    add("GET", "/v1_0/refund/{reference}", orders.read("disbursements"))
    add("GET", "/v1_0/account/balance", balance)


def transfer(gateway: "MtnMomo", request: Request, *, currency: str) -> Reply:
    made = orders.checked(gateway, request, currency=currency, party="payee")
    number = made["party_id"]
    outcome = TRANSFER_OUTCOMES.get(number, "")
    if made["amount_minor"] > available(gateway, currency):
        outcome = "NOT_ENOUGH_FUNDS"
    made |= {"kind": "payout", "refunds": "", "outcome": outcome}
    made["due_at"] = gateway.now() + TRANSFER_DELAYS.get(number, PROCESSING_SECONDS)
    gateway.state["disbursements"][made["id"]] = made
    return Reply(status=202)


def refund(gateway: "MtnMomo", request: Request, *, currency: str) -> Reply:
    made = orders.checked(gateway, request, currency=currency, party="")
    wanted = str(request.json().get("referenceIdToRefund", ""))
    outcome = REFUND_OUTCOMES.get(wanted, "")
    if wanted not in REFUND_OUTCOMES and wanted not in REFUND_DELAYS:
        outcome = _obstacle(gateway, wanted, made)
    made |= {"kind": "refund", "refunds": wanted, "outcome": outcome}
    made["due_at"] = gateway.now() + REFUND_DELAYS.get(wanted, PROCESSING_SECONDS)
    gateway.state["disbursements"][made["id"]] = made
    return Reply(status=202)


def _obstacle(gateway: "MtnMomo", wanted: str, made: dict[str, Any]) -> str:
    """Why that payment cannot give back so much. What is on its way back counts as gone."""
    payment = gateway.state["collections"].get(wanted)
    if payment is None:
        return "RESOURCE_NOT_FOUND"
    if payment["status"] != "SUCCESSFUL" or payment["currency"] != made["currency"]:
        return "NOT_ALLOWED"
    others = [each for each in gateway.state["disbursements"].values() if each["refunds"] == wanted]
    gone = sum(each["amount_minor"] for each in others if each["status"] != "FAILED" and not each["outcome"])
    if gone + made["amount_minor"] > payment["amount_minor"]:
        return "NOT_ALLOWED"
    return "" if made["amount_minor"] <= available(gateway, made["currency"]) else "NOT_ENOUGH_FUNDS"


def conclude_due(gateway: "MtnMomo") -> None:
    for made in gateway.state["disbursements"].values():
        if made["status"] == "PENDING" and made["due_at"] <= gateway.now():
            if made["outcome"]:
                orders.conclude(gateway, made, "FAILED", made["outcome"])
            else:
                orders.conclude(gateway, made, "SUCCESSFUL")


def available(gateway: "MtnMomo", currency: str) -> int:
    """The float in minor units: the same round figure in whichever currency is asked for."""
    sent = [each for each in gateway.state["disbursements"].values() if each["currency"] == currency]
    gone = sum(int(each["amount_minor"]) for each in sent if each["status"] != "FAILED" and not each["outcome"])
    return money.minor(gateway.settings["balance"], currency) - gone


def balance(gateway: "MtnMomo", request: Request, *, currency: str) -> Reply:
    left = money.major(available(gateway, currency), currency)
    return json_reply({"availableBalance": left, "currency": currency})


def books(gateway: "MtnMomo") -> list[Entry]:
    return [
        Entry(
            kind=made["kind"],
            id=made["id"],
            reference=made["external_id"],
            amount_minor=made["amount_minor"],
            currency=made["currency"],
            state=STATES[made["status"]],
            gateway_state=f"{made['status']} {made['reason']}".strip(),
            created_at=made["created_at"],
            updated_at=made["updated_at"],
            parent_id=made["refunds"],
        )
        for made in gateway.state["disbursements"].values()
    ]
