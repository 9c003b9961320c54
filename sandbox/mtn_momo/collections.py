"""Money in: a request to pay, and the payer who answers it on the phone, or one of MTN's test numbers."""

from typing import TYPE_CHECKING, Any

from sandbox.books import Entry
from sandbox.gateway import CannotPlay
from sandbox.mtn_momo import access, orders
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.mtn_momo import MtnMomo

PROMPT_SECONDS = 300
ONGOING_SECONDS = 30
DELAYED_SECONDS = 600  # later than anybody waits at the till
TEST_PREFIXES = ("46733", "56733")  # MTN's own test numbers; every other number waits for the page that plays the phone
# The last digits of 467331234.. and how it ends.
OUTCOMES = {
    "46733123450": "INTERNAL_PROCESSING_ERROR",
    "46733123451": "APPROVAL_REJECTED",
    "46733123452": "EXPIRED",
    "46733123455": "PAYER_NOT_FOUND",
    "46733123456": "PAYEE_NOT_ALLOWED_TO_RECEIVE",
    "46733123457": "NOT_ALLOWED",
    "46733123458": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "46733123459": "INVALID_CALLBACK_URL_HOST",
    "46733123460": "INVALID_CURRENCY",
    "46733123461": "INTERNAL_PROCESSING_ERROR",
    "46733123462": "SERVICE_UNAVAILABLE",
    "46733123463": "COULD_NOT_PERFORM_TRANSACTION",
    "46733123464": "TRANSFER_TYPE_UNKNOWN",
}
SLOW = {"46733123453": ONGOING_SECONDS, "46733123454": DELAYED_SECONDS}
SUCCESS = "SUCCESS"
INACTIVE = {"46733123450": 404, "46733123452": 500, "46733123453": 500, "46733123454": 500, "46733123455": 503}
ACTS = {"pay": SUCCESS, "challenge": SUCCESS, "decline": "APPROVAL_REJECTED", "poor": "NOT_ENOUGH_FUNDS"}
STATES = {"APPROVAL_REJECTED": "declined", "EXPIRED": "expired", "COULD_NOT_PERFORM_TRANSACTION": "expired"}


def lay_routes(gateway: "MtnMomo") -> None:
    def add(method: str, path: str, handler: Any) -> None:
        gateway.router.add(method, f"/collection/v1_0{path}", access.guard(gateway, "collection", handler))

    add("POST", "/requesttopay", orders.tried(request_to_pay))
    add("GET", "/requesttopay/{reference}", orders.read("collections"))
    add("GET", "/account/balance", balance)
    add("GET", "/accountholder/{kind}/{number}/active", is_active)


def request_to_pay(gateway: "MtnMomo", request: Request, *, currency: str) -> Reply:
    payment = orders.checked(gateway, request, currency=currency, party="payer")
    number = payment["party_id"]
    payment |= {"outcome": "EXPIRED", "due_at": gateway.now() + PROMPT_SECONDS}
    if number.startswith(TEST_PREFIXES):
        outcome = OUTCOMES.get(number, SUCCESS)
        payment |= {"outcome": outcome, "due_at": gateway.now() + SLOW.get(number, 0)}
    payment["page_url"] = f"{request.base_url}/phone/{payment['id']}"
    gateway.state["collections"][payment["id"]] = payment
    method = gateway.settings["callback_method"]
    gateway.tempt(
        payment["callback_url"], subject=f"SUCCESSFUL {payment['id']}", content=orders.shown(payment), method=method
    )
    return Reply(status=202)


def conclude_due(gateway: "MtnMomo") -> None:
    for payment in gateway.state["collections"].values():
        if payment["status"] == "PENDING" and payment["due_at"] <= gateway.now():
            _conclude(gateway, payment, payment["outcome"])


def _conclude(gateway: "MtnMomo", payment: dict[str, Any], outcome: str) -> None:
    if outcome == SUCCESS:
        orders.conclude(gateway, payment, "SUCCESSFUL")
    else:
        orders.conclude(gateway, payment, "FAILED", outcome)


def by_reference(gateway: "MtnMomo", reference: str) -> dict[str, Any] | None:
    """By X-Reference-Id, or the newest with that externalId."""
    known = gateway.state["collections"]
    if reference in known:
        found: dict[str, Any] = known[reference]
        return found
    named = [payment for payment in known.values() if payment["external_id"] == reference]
    return named[-1] if named else None


def act_of_payer(gateway: "MtnMomo", payment: dict[str, Any], act: str) -> None:
    if payment["status"] != "PENDING":
        raise CannotPlay(f"The prompt is gone: {payment['status']} {payment['reason']}".strip())
    if act != "abandon":  # whoever leaves the phone on the table lets the prompt run out
        _conclude(gateway, payment, ACTS[act])


def balance(gateway: "MtnMomo", request: Request, *, currency: str) -> Reply:
    paid = [each for each in gateway.state["collections"].values() if each["status"] == "SUCCESSFUL"]
    total = sum(int(each["amount_minor"]) for each in paid if each["currency"] == currency)
    return json_reply({"availableBalance": str(total), "currency": currency})


def is_active(gateway: "MtnMomo", request: Request, *, currency: str, kind: str, number: str) -> Reply:
    if status := INACTIVE.get(number):
        return access.refusal(status, "RESOURCE_NOT_FOUND" if status == 404 else "NOT_ALLOWED", "")  # noqa: PLR2004
    return json_reply({"result": number != "46733123451"})


def books(gateway: "MtnMomo") -> list[Entry]:
    return [
        Entry(
            kind="payment",
            id=payment["id"],
            reference=payment["external_id"],
            amount_minor=payment["amount_minor"],
            currency=payment["currency"],
            state=_state(payment),
            gateway_state=f"{payment['status']} {payment['reason']}".strip(),
            created_at=payment["created_at"],
            updated_at=payment["updated_at"],
            page_url=payment["page_url"],
        )
        for payment in gateway.state["collections"].values()
    ]


def _state(payment: dict[str, Any]) -> str:
    if payment["status"] == "PENDING":
        return "open"
    return "paid" if payment["status"] == "SUCCESSFUL" else STATES.get(payment["reason"], "declined")
