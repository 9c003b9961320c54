"""PayPal's webhooks: who listens, what is told, and the call that verifies a signature."""

import json
from typing import TYPE_CHECKING, Any

from sandbox.clock import text
from sandbox.paypal import accounts, amounts, errors, ids, signatures
from sandbox.wire import Malformed, Reply, Request, json_reply

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

EVERYTHING = "*"
MOST_LISTENERS = 10
SUMMARIES = {
    "CHECKOUT.ORDER.APPROVED": "An order has been approved by buyer",
    "PAYMENT.CAPTURE.COMPLETED": "Payment completed",
    "PAYMENT.CAPTURE.PENDING": "Payment pending",
    "PAYMENT.CAPTURE.REFUNDED": "Payment refunded",
}
EVENT_TYPES = [
    "CHECKOUT.ORDER.APPROVED",
    *(f"PAYMENT.CAPTURE.{name}" for name in ("COMPLETED", "PENDING", "REFUNDED")),
    "PAYMENT.PAYOUTSBATCH.SUCCESS",
    *(f"PAYMENT.PAYOUTS-ITEM.{name}" for name in ("SUCCEEDED", "FAILED", "UNCLAIMED", "RETURNED", "HELD", "BLOCKED")),
]
PARTS_OF_VERIFICATION = (
    *("auth_algo", "cert_url", "transmission_id", "transmission_sig", "transmission_time", "webhook_id"),
)


def lay_routes(gateway: "PayPal", guard: accounts.Guard) -> None:
    router = gateway.router
    start = "/v1/notifications"
    router.add("POST", f"{start}/webhooks", guard(register))
    router.add("GET", f"{start}/webhooks", guard(listed))
    router.add("GET", f"{start}/webhooks/{{webhook_id}}", guard(read))
    router.add("DELETE", f"{start}/webhooks/{{webhook_id}}", guard(remove))
    router.add("GET", f"{start}/webhooks-event-types", guard(event_types))
    router.add("GET", f"{start}/webhooks-events", guard(events))
    router.add("GET", f"{start}/webhooks-events/{{event_id}}", guard(event))
    router.add("POST", f"{start}/webhooks-events/{{event_id}}/resend", guard(resend))
    router.add("POST", f"{start}/verify-webhook-signature", guard(verify))
    router.add("GET", f"{start}/certs/{{name}}", lambda request, name: certificate(gateway))


# ---------------------------------------------------------------- telling


def announce(gateway: "PayPal", event_type: str, resource_type: str, resource: dict[str, Any]) -> None:
    told = _event(gateway, event_type, resource_type, resource)
    gateway.state["events"][told["id"]] = told
    _send(gateway, told)


def tempt(gateway: "PayPal", order: dict[str, Any]) -> None:
    """A forger may claim, as soon as an order stands, that it was paid."""
    resource = {
        "id": ids.identifier(),
        "status": "COMPLETED",
        "amount": amounts.wire(order["amount_minor"], order["currency"]),
        "final_capture": True,
        "custom_id": order["purchase_units"][0].get("custom_id", ""),
        "supplementary_data": {"related_ids": {"order_id": order["id"]}},
    }
    told = _event(gateway, "PAYMENT.CAPTURE.COMPLETED", "capture", resource)
    for url, webhook_id in _listeners(gateway, told["event_type"]):
        content = {"event": told, "webhook_id": webhook_id}
        gateway.tempt(url, subject=f"{told['event_type']} {told['id']}", content=content)


def _event(gateway: "PayPal", event_type: str, resource_type: str, resource: dict[str, Any]) -> dict[str, Any]:
    event_id = f"WH-{ids.identifier()}-{ids.identifier()}"
    address = f"{gateway.base_url()}/v1/notifications/webhooks-events/{event_id}"
    return {
        "id": event_id,
        "event_version": "1.0",
        "create_time": text(gateway.now()),
        "resource_type": resource_type,
        "resource_version": "1.0" if resource_type.startswith("payouts") else "2.0",
        "event_type": event_type,
        "summary": SUMMARIES.get(event_type, event_type.replace(".", " ").capitalize()),
        "resource": resource,
        "links": [
            {"href": address, "rel": "self", "method": "GET"},
            {"href": f"{address}/resend", "rel": "resend", "method": "POST"},
        ],
    }


def _send(gateway: "PayPal", told: dict[str, Any]) -> None:
    for url, webhook_id in _listeners(gateway, told["event_type"]):
        content = {"event": told, "webhook_id": webhook_id}
        gateway.notify(url, subject=f"{told['event_type']} {told['id']}", content=content)


def _listeners(gateway: "PayPal", event_type: str) -> list[tuple[str, str]]:
    listeners = [(hook["url"], hook["id"]) for hook in gateway.state["webhooks"].values() if _hears(hook, event_type)]
    if gateway.settings["webhook_url"]:
        listeners.append((gateway.settings["webhook_url"], gateway.settings["webhook_id"]))
    return listeners


def _hears(hook: dict[str, Any], event_type: str) -> bool:
    return any(each["name"] in (EVERYTHING, event_type) for each in hook["event_types"])


def with_wrong_amount(content: dict[str, Any]) -> dict[str, Any]:
    """The same event over ten times the money, in a truly signed letter."""
    changed: dict[str, Any] = json.loads(json.dumps(content))
    amount = changed["event"]["resource"].get("amount")
    if isinstance(amount, dict) and "currency_code" in amount:
        wrong, currency = amounts.minor(amount, field="")
        changed["event"]["resource"]["amount"] = amounts.wire(wrong * 10, currency)
    return changed


def claiming_success(content: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(content))
    if changed["event"]["resource_type"] == "capture":
        changed["event"] |= {"id": f"WH-{ids.identifier()}-FORGED", "event_type": "PAYMENT.CAPTURE.COMPLETED"}
        changed["event"]["resource"]["status"] = "COMPLETED"
    return changed


# ---------------------------------------------------------------- listening


def register(gateway: "PayPal", request: Request) -> Reply:
    asked = request.json()
    url, types = asked.get("url"), asked.get("event_types")
    if not isinstance(url, str) or not isinstance(types, list) or not types:
        raise errors.Refusal(_validation_error("url and event_types are required."))
    if any(hook["url"] == url for hook in gateway.state["webhooks"].values()):
        return errors.reply(400, "WEBHOOK_URL_ALREADY_EXISTS", "Webhook URL already exists.")
    if len(gateway.state["webhooks"]) >= MOST_LISTENERS:
        return errors.reply(400, "WEBHOOK_NUMBER_LIMIT_EXCEEDED", "The maximum number of webhooks is reached.")
    hook: dict[str, Any] = {
        "id": ids.identifier(),
        "url": url,
        "event_types": [{"name": each["name"]} for each in types],
    }
    gateway.state["webhooks"][hook["id"]] = hook
    return json_reply(_hook_shown(gateway, hook), 201)


def _validation_error(description: str) -> Reply:
    issue = {"issue": description, "field": "/", "location": "body"}
    return errors.reply(400, "VALIDATION_ERROR", "Invalid data provided", details=[issue])


def _hook_shown(gateway: "PayPal", hook: dict[str, Any]) -> dict[str, Any]:
    address = f"{gateway.base_url()}/v1/notifications/webhooks/{hook['id']}"
    return hook | {"links": [{"href": address, "rel": "self", "method": "GET"}]}


def listed(gateway: "PayPal", request: Request) -> Reply:
    return json_reply({"webhooks": [_hook_shown(gateway, hook) for hook in gateway.state["webhooks"].values()]})


def read(gateway: "PayPal", request: Request, webhook_id: str) -> Reply:
    hook = gateway.state["webhooks"].get(webhook_id)
    return errors.not_found() if hook is None else json_reply(_hook_shown(gateway, hook))


def remove(gateway: "PayPal", request: Request, webhook_id: str) -> Reply:
    return errors.not_found() if gateway.state["webhooks"].pop(webhook_id, None) is None else Reply(status=204)


def event_types(gateway: "PayPal", request: Request) -> Reply:
    return json_reply(
        {"event_types": [{"name": name, "description": SUMMARIES.get(name, name)} for name in EVENT_TYPES]}
    )


def events(gateway: "PayPal", request: Request) -> Reply:
    wanted = request.query.get("event_type")
    found = [told for told in gateway.state["events"].values() if wanted in (None, told["event_type"])]
    size = int(request.query.get("page_size", "10"))
    return json_reply({"events": found[::-1][:size], "count": min(size, len(found)), "links": []})


def event(gateway: "PayPal", request: Request, event_id: str) -> Reply:
    told = gateway.state["events"].get(event_id)
    return errors.not_found() if told is None else json_reply(told)


def resend(gateway: "PayPal", request: Request, event_id: str) -> Reply:
    told = gateway.state["events"].get(event_id)
    if told is None:
        return errors.not_found()
    _send(gateway, told)
    return json_reply(told, 202)


# ---------------------------------------------------------------- verifying


def verify(gateway: "PayPal", request: Request) -> Reply:
    said = request.json()
    if not all(isinstance(said.get(name), str) for name in PARTS_OF_VERIFICATION) or "webhook_event" not in said:
        raise errors.Refusal(_validation_error("A part of the verification is missing."))
    known = {webhook_id for _, webhook_id in _listeners(gateway, EVERYTHING)} | set(gateway.state["webhooks"])
    is_ours = said["webhook_id"] in known | {gateway.settings["webhook_id"]}
    is_valid = is_ours and signatures.is_valid(gateway, said, raw_event(request.body))
    return json_reply({"verification_status": "SUCCESS" if is_valid else "FAILURE"})


def raw_event(body: bytes) -> bytes:
    """The bytes of webhook_event as they were sent: the signature is over them, not over what they mean."""
    decoder = json.JSONDecoder()
    written = body.decode()
    position = written.index("{") + 1
    while True:
        position = _after_blanks(written, position, ",")
        name, position = decoder.raw_decode(written, position)
        position = _after_blanks(written, position, ":")
        _, end = decoder.raw_decode(written, position)
        if name == "webhook_event":
            return written[position:end].encode()
        position = end


def _after_blanks(written: str, position: int, mark: str) -> int:
    while position < len(written) and written[position] in " \t\r\n" + mark:
        position += 1
    if position >= len(written):
        raise Malformed("webhook_event is missing.")
    return position


def certificate(gateway: "PayPal") -> Reply:
    return Reply(body=signatures.certificate(gateway), headers={"Content-Type": "application/x-pem-file"})
