"""Captures and their refunds."""

from typing import TYPE_CHECKING, Any

from sandbox.books import Entry
from sandbox.clock import text
from sandbox.paypal import accounts, amounts, errors, ids, orders, webhooks
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

REFUNDABLE_SECONDS = 180 * 86_400
REQUEST_ID_SECONDS = 45 * 86_400
LONGEST_NOTE = 255


def lay_routes(gateway: "PayPal", guard: accounts.Guard) -> None:
    router = gateway.router
    router.add("GET", "/v2/payments/captures/{capture_id}", guard(read_capture))
    router.add("POST", "/v2/payments/captures/{capture_id}/refund", guard(refund))
    router.add("GET", "/v2/payments/refunds/{refund_id}", guard(read))


def read_capture(gateway: "PayPal", request: Request, capture_id: str) -> Reply:
    captured = gateway.state["captures"].get(capture_id)
    return errors.not_found() if captured is None else json_reply(orders.capture_representation(gateway, captured))


def read(gateway: "PayPal", request: Request, refund_id: str) -> Reply:
    made = gateway.state["refunds"].get(refund_id)
    return errors.not_found() if made is None else json_reply(representation(gateway, made))


def refund(gateway: "PayPal", request: Request, capture_id: str) -> Reply:
    captured = gateway.state["captures"].get(capture_id)
    if captured is None:
        return errors.not_found()
    operation = f"refund {capture_id}"
    if known := accounts.repeated(gateway, request, operation, kept_seconds=REQUEST_ID_SECONDS):
        return json_reply(_shown(gateway, gateway.state["refunds"][known], request), 201)
    asked = request.json()
    amount_minor = _amount(gateway, captured, asked)
    made = {
        "id": ids.identifier(),
        "capture_id": capture_id,
        "status": "COMPLETED",
        "amount_minor": amount_minor,
        "currency": captured["currency"],
        "custom_id": str(asked.get("custom_id") or captured["custom_id"]),
        "invoice_id": str(asked.get("invoice_id") or ""),
        "note_to_payer": str(asked.get("note_to_payer") or ""),
        "total_refunded_minor": captured["refunded_minor"] + amount_minor,
        "created_at": gateway.now(),
    }
    accounts.remember(gateway, request, operation, made["id"])
    gateway.state["refunds"][made["id"]] = made
    captured["refunded_minor"] += amount_minor
    is_all = captured["refunded_minor"] == captured["amount_minor"]
    captured |= {"status": "REFUNDED" if is_all else "PARTIALLY_REFUNDED", "updated_at": gateway.now()}
    webhooks.announce(gateway, "PAYMENT.CAPTURE.REFUNDED", "refund", representation(gateway, made))
    return json_reply(_shown(gateway, made, request), 201)


def _amount(gateway: "PayPal", captured: dict[str, Any], asked: dict[str, Any]) -> int:
    if captured["status"] == "REFUNDED":
        raise _refusal("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded.")
    if captured["status"] == "PENDING":
        raise _refusal("PENDING_CAPTURE", "Cannot initiate a refund as the capture is pending.")
    if captured["created_at"] + REFUNDABLE_SECONDS < gateway.now():
        raise _refusal("REFUND_TIME_LIMIT_EXCEEDED", "You are over the time limit to perform a refund.")
    if len(str(asked.get("note_to_payer", ""))) > LONGEST_NOTE:
        raise errors.Refusal(
            errors.invalid_request("INVALID_STRING_LENGTH", field="/note_to_payer", description="Too long.")
        )
    left = int(captured["amount_minor"]) - int(captured["refunded_minor"])
    if not asked.get("amount"):
        return left
    amount_minor, currency = amounts.minor(asked["amount"], field="/amount")
    if amount_minor <= 0:
        raise _refusal("CANNOT_BE_ZERO_OR_NEGATIVE", "Must be greater than zero.")
    if currency != captured["currency"]:
        raise _refusal("REFUND_CAPTURE_CURRENCY_MISMATCH", "Refund must be in the same currency as the capture.")
    if amount_minor > left:
        raise _refusal("REFUND_AMOUNT_EXCEEDED", "The refund amount must be less than or equal to what is left.")
    return amount_minor


def _refusal(issue: str, description: str) -> errors.Refusal:
    return errors.Refusal(errors.unprocessable(issue, description))


def _shown(gateway: "PayPal", made: dict[str, Any], request: Request) -> dict[str, Any]:
    full = representation(gateway, made)
    if accounts.wants_representation(request):
        return full
    return {name: full[name] for name in ("id", "status", "links")}


def representation(gateway: "PayPal", made: dict[str, Any]) -> dict[str, Any]:
    currency = made["currency"]
    base_url = gateway.base_url()
    shown: dict[str, Any] = {
        "id": made["id"],
        "status": made["status"],
        "amount": amounts.wire(made["amount_minor"], currency),
        "seller_payable_breakdown": {
            "gross_amount": amounts.wire(made["amount_minor"], currency),
            "paypal_fee": amounts.wire(0, currency),
            "net_amount": amounts.wire(made["amount_minor"], currency),
            "total_refunded_amount": amounts.wire(made["total_refunded_minor"], currency),
        },
        "create_time": text(made["created_at"]),
        "update_time": text(made["created_at"]),
        "links": [
            {"href": f"{base_url}/v2/payments/refunds/{made['id']}", "rel": "self", "method": "GET"},
            {"href": f"{base_url}/v2/payments/captures/{made['capture_id']}", "rel": "up", "method": "GET"},
        ],
    }
    return shown | {name: made[name] for name in ("custom_id", "invoice_id", "note_to_payer") if made[name]}


def books(gateway: "PayPal") -> list[Entry]:
    return [
        Entry(
            kind="refund",
            id=made["id"],
            reference=made["invoice_id"] or made["custom_id"],
            amount_minor=made["amount_minor"],
            currency=made["currency"],
            state="paid",
            gateway_state=made["status"],
            created_at=made["created_at"],
            updated_at=made["created_at"],
            parent_id=gateway.state["captures"][made["capture_id"]]["order_id"],
        )
        for made in gateway.state["refunds"].values()
    ]
