"""Payouts v1: batches that are taken at once and paid a moment later. The receiver's address says how it ends."""

from typing import TYPE_CHECKING, Any

from sandbox.books import Entry
from sandbox.clock import text
from sandbox.paypal import accounts, amounts, errors, ids, webhooks
from sandbox.wire import Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

PROCESSING_SECONDS = 1
MOST_ITEMS = 15_000
BATCH_ID_SECONDS = 30 * 86_400
UNCLAIMED_SECONDS = 30 * 86_400
RECIPIENT_TYPES = ("EMAIL", "PHONE", "PAYPAL_ID", "USER_HANDLE")
# A word in front of the @ (or anywhere in another kind of address) and how that item ends. PayPal's own sandbox has no
# such table: it is ours.
OUTCOMES = {
    "unclaimed": ("UNCLAIMED", "RECEIVER_UNREGISTERED", "Receiver is unregistered."),
    "locked": ("FAILED", "RECEIVER_ACCOUNT_LOCKED", "Receiver's account is locked."),
    "declined": ("FAILED", "INSUFFICIENT_FUNDS", "Sender has insufficient funds."),
    "blocked": ("BLOCKED", "COUNTRY_NOT_ALLOWED", "The country is not allowed."),
    "held": ("ONHOLD", "", ""),
    "pending": ("PENDING", "", ""),
}
EVENTS = {
    "SUCCESS": "SUCCEEDED",
    "FAILED": "FAILED",
    "UNCLAIMED": "UNCLAIMED",
    "RETURNED": "RETURNED",
    "ONHOLD": "HELD",
    "BLOCKED": "BLOCKED",
}
STATES = {"SUCCESS": "paid", "FAILED": "failed", "BLOCKED": "failed", "RETURNED": "returned", "UNCLAIMED": "unclaimed"}


def lay_routes(gateway: "PayPal", guard: accounts.Guard) -> None:
    router = gateway.router
    router.add("POST", "/v1/payments/payouts", guard(create))
    router.add("GET", "/v1/payments/payouts/{batch_id}", guard(read))
    router.add("GET", "/v1/payments/payouts-item/{item_id}", guard(read_item))
    router.add("POST", "/v1/payments/payouts-item/{item_id}/cancel", guard(cancel_item))


def create(gateway: "PayPal", request: Request) -> Reply:
    asked = request.json()
    header, wanted = asked.get("sender_batch_header"), asked.get("items")
    if not isinstance(header, dict) or not isinstance(wanted, list) or not wanted or len(wanted) > MOST_ITEMS:
        raise _invalid("sender_batch_header and 1 to 15000 items are required.")
    sender_batch_id = str(header.get("sender_batch_id") or ids.identifier())
    for other in gateway.state["batches"].values():
        same = other["header"].get("sender_batch_id") == sender_batch_id
        if same and other["created_at"] + BATCH_ID_SECONDS > gateway.now():
            return _already_sent(gateway, other)
    batch: dict[str, Any] = {
        "id": ids.identifier(13),
        "status": "PENDING",
        "header": {**header, "sender_batch_id": sender_batch_id},
        "items": [_item(item, header, index) for index, item in enumerate(wanted)],
        "created_at": gateway.now(),
        "completed_at": 0,
    }
    if len({item["currency"] for item in batch["items"]}) > 1:
        raise _invalid("All items of a batch must have the same currency.")
    gateway.state["batches"][batch["id"]] = batch
    shown = {name: _header(batch)[name] for name in ("payout_batch_id", "batch_status", "sender_batch_header")}
    return json_reply({"batch_header": shown, "links": [_link(gateway, batch)]}, 201)


def _item(asked: Any, header: dict[str, Any], index: int) -> dict[str, Any]:
    if not isinstance(asked, dict) or not isinstance(asked.get("receiver"), str) or not asked["receiver"]:
        raise _invalid(f"items[{index}]: receiver is required.")
    kind = asked.get("recipient_type") or header.get("recipient_type") or "EMAIL"
    if kind not in RECIPIENT_TYPES:
        raise _invalid(f"items[{index}]: no such recipient_type.")
    amount_minor, currency = amounts.minor(
        asked.get("amount"), field=f"/items/{index}/amount", currency_name="currency"
    )
    if amount_minor <= 0:
        raise _invalid(f"items[{index}]: the amount must be greater than zero.")
    return {
        "id": ids.identifier(13),
        "asked": {**asked, "recipient_type": kind},
        "amount_minor": amount_minor,
        "currency": currency,
        "status": "PENDING",
        "error": "",
        "transaction_id": "",
        "updated_at": 0,
    }


def _invalid(description: str) -> errors.Refusal:
    issue = {"field": "/", "location": "body", "issue": description}
    return errors.Refusal(
        errors.reply(400, "VALIDATION_ERROR", "Invalid request - see details.", details=[issue], links=[])
    )


def _already_sent(gateway: "PayPal", batch: dict[str, Any]) -> Reply:
    message = "User business error."
    issue = {"field": "SENDER_BATCH_ID", "location": "body", "issue": "Batch with given sender_batch_id already exists"}
    return errors.reply(400, "USER_BUSINESS_ERROR", message, details=[issue], links=[_link(gateway, batch)])


def process_due(gateway: "PayPal") -> None:
    for batch in gateway.state["batches"].values():
        if batch["status"] == "PENDING" and batch["created_at"] + PROCESSING_SECONDS <= gateway.now():
            _process(gateway, batch)
        for item in batch["items"]:
            if item["status"] == "UNCLAIMED" and item["updated_at"] + UNCLAIMED_SECONDS <= gateway.now():
                _conclude(gateway, batch, item, "RETURNED")


def _process(gateway: "PayPal", batch: dict[str, Any]) -> None:
    batch |= {"status": "SUCCESS", "completed_at": gateway.now()}
    for item in batch["items"]:
        words = [word for word in OUTCOMES if word in item["asked"]["receiver"].lower()]
        status, item["error"], _ = OUTCOMES[words[0]] if words else ("SUCCESS", "", "")
        _conclude(gateway, batch, item, status)
    resource = {"batch_header": _header(batch), "links": [_link(gateway, batch)]}
    webhooks.announce(gateway, "PAYMENT.PAYOUTSBATCH.SUCCESS", "payouts", resource)


def _conclude(gateway: "PayPal", batch: dict[str, Any], item: dict[str, Any], status: str) -> None:
    item |= {"status": status, "updated_at": gateway.now()}
    if status == "SUCCESS":
        item["transaction_id"] = ids.identifier()
    if name := EVENTS.get(status):
        shown = _item_shown(gateway, batch, item)
        webhooks.announce(gateway, f"PAYMENT.PAYOUTS-ITEM.{name}", "payouts_item", shown)


def read(gateway: "PayPal", request: Request, batch_id: str) -> Reply:
    batch = gateway.state["batches"].get(batch_id)
    if batch is None:
        return errors.not_found()
    size = int(request.query.get("page_size", "1000"))
    start = (int(request.query.get("page", "1")) - 1) * size
    shown: dict[str, Any] = {
        "batch_header": _header(batch),
        "items": [_item_shown(gateway, batch, item) for item in batch["items"][start : start + size]],
        "links": [_link(gateway, batch)],
    }
    if request.query.get("total_required") == "true":
        shown |= {"total_items": len(batch["items"]), "total_pages": -(-len(batch["items"]) // size)}
    return json_reply(shown)


def _find(gateway: "PayPal", item_id: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    for batch in gateway.state["batches"].values():
        for item in batch["items"]:
            if item["id"] == item_id:
                return batch, item
    return None


def read_item(gateway: "PayPal", request: Request, item_id: str) -> Reply:
    found = _find(gateway, item_id)
    return errors.not_found() if found is None else json_reply(_item_shown(gateway, *found))


def cancel_item(gateway: "PayPal", request: Request, item_id: str) -> Reply:
    found = _find(gateway, item_id)
    if found is None:
        return errors.not_found()
    batch, item = found
    if item["status"] != "UNCLAIMED":
        name = "ITEM_ALREADY_CANCELLED" if item["status"] == "RETURNED" else "ITEM_INCORRECT_STATUS"
        return errors.reply(400, name, "Only an unclaimed item can be cancelled.")
    _conclude(gateway, batch, item, "RETURNED")
    return json_reply(_item_shown(gateway, batch, item))


def _header(batch: dict[str, Any]) -> dict[str, Any]:
    currency = batch["items"][0]["currency"]
    total = sum(item["amount_minor"] for item in batch["items"])
    header = {
        "payout_batch_id": batch["id"],
        "batch_status": batch["status"],
        "time_created": text(batch["created_at"]),
        "sender_batch_header": batch["header"],
        "amount": _money(total, currency),
        "fees": _money(sum(_fee(item) for item in batch["items"]), currency),
    }
    return header | ({"time_completed": text(batch["completed_at"])} if batch["completed_at"] else {})


def _item_shown(gateway: "PayPal", batch: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "payout_item_id": item["id"],
        "transaction_status": item["status"],
        "payout_item_fee": _money(_fee(item), item["currency"]),
        "payout_batch_id": batch["id"],
        "sender_batch_id": batch["header"]["sender_batch_id"],
        "payout_item": item["asked"],
        "links": [
            {
                "href": f"{gateway.base_url()}/v1/payments/payouts-item/{item['id']}",
                "rel": "item",
                "method": "GET",
            }
        ],
    }
    if item["transaction_id"]:
        shown["transaction_id"] = item["transaction_id"]
    if item["updated_at"]:
        shown["time_processed"] = text(item["updated_at"])
    if item["error"]:
        message = next(words for _, name, words in OUTCOMES.values() if name == item["error"])
        shown["errors"] = {"name": item["error"], "message": message, "debug_id": errors.debug_id(), "links": []}
    return shown


def _fee(item: dict[str, Any]) -> int:
    return -(-int(item["amount_minor"]) * 2 // 100)


def _money(amount_minor: int, currency: str) -> dict[str, str]:
    return {"currency": currency, "value": amounts.text(amount_minor, currency)}


def _link(gateway: "PayPal", batch: dict[str, Any]) -> dict[str, str]:
    return {"href": f"{gateway.base_url()}/v1/payments/payouts/{batch['id']}", "rel": "self", "method": "GET"}


def books(gateway: "PayPal") -> list[Entry]:
    return [
        Entry(
            kind="payout",
            id=item["id"],
            reference=item["asked"].get("sender_item_id") or batch["header"]["sender_batch_id"],
            amount_minor=item["amount_minor"],
            currency=item["currency"],
            state=STATES.get(item["status"], "pending"),
            gateway_state=item["status"],
            created_at=batch["created_at"],
            updated_at=item["updated_at"] or batch["created_at"],
            parent_id=batch["id"],
        )
        for batch in gateway.state["batches"].values()
        for item in batch["items"]
    ]
