"""Orders v2: create, read, the payer's approval, capture."""

from typing import TYPE_CHECKING, Any

from sandbox import pages
from sandbox.books import Entry
from sandbox.clock import text
from sandbox.gateway import CannotPlay
from sandbox.paypal import accounts, amounts, errors, ids, order_requests, webhooks
from sandbox.wire import Reply, Request, html_reply, json_reply, see_other

if TYPE_CHECKING:
    from sandbox.paypal import PayPal

APPROVAL_SECONDS = 3 * 3_600
REQUEST_ID_SECONDS = 6 * 3_600
ECHECK_SECONDS = 3 * 86_400
OPEN = ("CREATED", "PAYER_ACTION_REQUIRED")
ISSUES = {
    "INSTRUMENT_DECLINED": "The instrument presented was declined by the processor or bank, or it can't be used.",
    "ORDER_NOT_APPROVED": "Payer has not yet approved the Order for payment.",
    "ORDER_ALREADY_CAPTURED": "Order already captured. If 'intent=CAPTURE' only one capture per order is allowed.",
    "DUPLICATE_INVOICE_ID": "Duplicate Invoice ID detected. To avoid a potential duplicate transaction ...",
}


def lay_routes(gateway: "PayPal", guard: accounts.Guard) -> None:
    def page(request: Request) -> Reply:
        return approval_page(gateway, request)

    router = gateway.router
    router.add("POST", "/v2/checkout/orders", guard(create))
    router.add("GET", "/v2/checkout/orders/{order_id}", guard(read))
    router.add("POST", "/v2/checkout/orders/{order_id}/capture", guard(capture))
    router.add("GET POST", "/checkoutnow", page, is_page=True)


def standing(gateway: "PayPal", order_id: str) -> dict[str, Any] | None:
    """The order, unless it is unknown or ran out of time: PayPal then says 404 for both."""
    order: dict[str, Any] | None = gateway.state["orders"].get(order_id)
    if order is None:
        return None
    has_expired = order["status"] != "COMPLETED" and order["updated_at"] + APPROVAL_SECONDS < gateway.now()
    return None if has_expired else order


def create(gateway: "PayPal", request: Request) -> Reply:
    if made := accounts.repeated(gateway, request, "create", kept_seconds=REQUEST_ID_SECONDS):
        return json_reply(_shown(gateway, gateway.state["orders"][made], request), 200)
    if issue := accounts.mocked_issue(request):
        return errors.unprocessable(issue, ISSUES.get(issue, "Asked for by PayPal-Mock-Response."))
    asked = order_requests.checked(request)
    order_id = ids.identifier()
    order = {
        "id": order_id,
        "intent": asked.intent,
        "status": "PAYER_ACTION_REQUIRED" if asked.has_payment_source else "CREATED",
        "purchase_units": asked.purchase_units,
        "amount_minor": asked.amount_minor,
        "currency": asked.currency,
        "return_url": asked.return_url,
        "cancel_url": asked.cancel_url,
        "shop": asked.brand_name or gateway.settings["shop"],
        "has_payment_source": asked.has_payment_source,
        "base_url": request.base_url,
        "instrument": "",
        "capture_id": "",
        "was_declined": False,
        "created_at": gateway.now(),
        "updated_at": gateway.now(),
    }
    accounts.remember(gateway, request, "create", order_id)
    gateway.state["orders"][order_id] = order
    webhooks.tempt(gateway, order)
    return json_reply(_shown(gateway, order, request), 201)


def read(gateway: "PayPal", request: Request, order_id: str) -> Reply:
    order = standing(gateway, order_id)
    return errors.not_found() if order is None else json_reply(representation(gateway, order))


def capture(gateway: "PayPal", request: Request, order_id: str) -> Reply:
    order = standing(gateway, order_id)
    if order is None:
        return errors.not_found()
    request.json()
    if accounts.repeated(gateway, request, f"capture {order_id}", kept_seconds=REQUEST_ID_SECONDS):
        return json_reply(_shown(gateway, order, request), 200)
    if issue := accounts.mocked_issue(request) or _obstacle(gateway, order):
        return _refused(order, issue)
    captured = _take_money(gateway, order)
    accounts.remember(gateway, request, f"capture {order_id}", captured["id"])
    return json_reply(_shown(gateway, order, request), 201)


def _obstacle(gateway: "PayPal", order: dict[str, Any]) -> str:
    if order["status"] == "COMPLETED":
        return "ORDER_ALREADY_CAPTURED"
    if order["status"] != "APPROVED":
        return "ORDER_NOT_APPROVED"
    if order["instrument"] == "declined":
        return "INSTRUMENT_DECLINED"
    invoice = order["purchase_units"][0].get("invoice_id")
    paid = (other for other in gateway.state["orders"].values() if other["status"] == "COMPLETED")
    if invoice and any(other["purchase_units"][0].get("invoice_id") == invoice for other in paid):
        return "DUPLICATE_INVOICE_ID"
    return ""


def _refused(order: dict[str, Any], issue: str) -> Reply:
    redirect = ""
    if issue == "INSTRUMENT_DECLINED":  # the payer may come back to the same order and choose another card
        order |= {"status": "PAYER_ACTION_REQUIRED", "was_declined": True}
        redirect = _page_url(order)
    return errors.unprocessable(issue, ISSUES.get(issue, "Asked for by PayPal-Mock-Response."), redirect=redirect)


def _take_money(gateway: "PayPal", order: dict[str, Any]) -> dict[str, Any]:
    unit = order["purchase_units"][0]
    is_slow = order["instrument"] == "echeck"
    captured = {
        "id": ids.identifier(),
        "order_id": order["id"],
        "status": "PENDING" if is_slow else "COMPLETED",
        "due_at": gateway.now() + ECHECK_SECONDS if is_slow else 0,
        "amount_minor": order["amount_minor"],
        "currency": order["currency"],
        "refunded_minor": 0,
        "custom_id": unit.get("custom_id", ""),
        "invoice_id": unit.get("invoice_id", ""),
        "created_at": gateway.now(),
        "updated_at": gateway.now(),
    }
    gateway.state["captures"][captured["id"]] = captured
    order |= {"status": "COMPLETED", "capture_id": captured["id"], "updated_at": gateway.now()}
    event = "PAYMENT.CAPTURE.PENDING" if is_slow else "PAYMENT.CAPTURE.COMPLETED"
    webhooks.announce(gateway, event, "capture", capture_representation(gateway, captured))
    return captured


def settle_pending_captures(gateway: "PayPal") -> None:
    for captured in gateway.state["captures"].values():
        if captured["status"] == "PENDING" and captured["due_at"] <= gateway.now():
            captured |= {"status": "COMPLETED", "updated_at": gateway.now()}
            resource = capture_representation(gateway, captured)
            webhooks.announce(gateway, "PAYMENT.CAPTURE.COMPLETED", "capture", resource)


# ---------------------------------------------------------------- what PayPal shows of an order


def _shown(gateway: "PayPal", order: dict[str, Any], request: Request) -> dict[str, Any]:
    full = representation(gateway, order)
    if accounts.wants_representation(request):
        return full
    return {name: full[name] for name in ("id", "status", "payment_source", "links") if name in full}


def representation(gateway: "PayPal", order: dict[str, Any]) -> dict[str, Any]:
    units = [dict(unit) for unit in order["purchase_units"]]
    if captured := gateway.state["captures"].get(order["capture_id"]):
        units[0]["payments"] = {"captures": [capture_representation(gateway, captured)]}
        if given_back := refunds_of(gateway, captured["id"]):
            units[0]["payments"]["refunds"] = given_back
    shown: dict[str, Any] = {
        "id": order["id"],
        "intent": order["intent"],
        "status": order["status"],
        "purchase_units": units,
        "create_time": text(order["created_at"]),
        "update_time": text(order["updated_at"]),
        "links": _links(order),
    }
    if order["has_payment_source"]:
        shown["payment_source"] = {"paypal": {}}
    if order["status"] in ("APPROVED", "COMPLETED"):
        shown["payer"] = {"payer_id": "PAYERSANDB2X3", "email_address": "buyer@example.com"}
    return shown


def refunds_of(gateway: "PayPal", capture_id: str) -> list[dict[str, Any]]:
    from sandbox.paypal import refunds  # which stands on this module

    made = [each for each in gateway.state["refunds"].values() if each["capture_id"] == capture_id]
    return [refunds.representation(gateway, each) for each in made]


def capture_representation(gateway: "PayPal", captured: dict[str, Any]) -> dict[str, Any]:
    total, currency = captured["amount_minor"], captured["currency"]
    fee = amounts.fee(total)
    order = gateway.state["orders"][captured["order_id"]]
    address = f"{order['base_url']}/v2/payments/captures/{captured['id']}"
    shown: dict[str, Any] = {
        "id": captured["id"],
        "status": captured["status"],
        "amount": amounts.wire(total, currency),
        "final_capture": True,
        "supplementary_data": {"related_ids": {"order_id": captured["order_id"]}},
        "create_time": text(captured["created_at"]),
        "update_time": text(captured["updated_at"]),
        "links": [
            {"href": address, "rel": "self", "method": "GET"},
            {"href": f"{address}/refund", "rel": "refund", "method": "POST"},
            {"href": f"{order['base_url']}/v2/checkout/orders/{order['id']}", "rel": "up", "method": "GET"},
        ],
    }
    shown |= {name: captured[name] for name in ("custom_id", "invoice_id") if captured[name]}
    if captured["status"] == "PENDING":
        return shown | {"status_details": {"reason": "ECHECK"}}
    return shown | {
        "seller_receivable_breakdown": {
            "gross_amount": amounts.wire(total, currency),
            "paypal_fee": amounts.wire(fee, currency),
            "net_amount": amounts.wire(total - fee, currency),
        }
    }


def _links(order: dict[str, Any]) -> list[dict[str, str]]:
    address = f"{order['base_url']}/v2/checkout/orders/{order['id']}"
    links = [{"href": address, "rel": "self", "method": "GET"}]
    if order["status"] in OPEN:
        rel = "payer-action" if order["has_payment_source"] else "approve"
        links.insert(0, {"href": _page_url(order), "rel": rel, "method": "GET"})
    elif order["status"] == "APPROVED":
        links.append({"href": f"{address}/capture", "rel": "capture", "method": "POST"})
    return links


def _page_url(order: dict[str, Any]) -> str:
    return f"{order['base_url']}/checkoutnow?token={order['id']}"


# ---------------------------------------------------------------- the payer


def act_of_payer(gateway: "PayPal", order: dict[str, Any], act: str) -> str:
    """Approve (with money, by a card that will be refused, by eCheck) or leave; where the browser goes next."""
    if order["status"] not in OPEN:
        raise CannotPlay(f"The order is {order['status']}: the payer has nothing left to do.")
    if act == "abandon":
        return _joined(order["cancel_url"], f"token={order['id']}")
    instruments = {"pay": "good", "challenge": "good", "decline": "declined", "echeck": "echeck"}
    order |= {"status": "APPROVED", "instrument": instruments[act], "updated_at": gateway.now()}
    webhooks.announce(gateway, "CHECKOUT.ORDER.APPROVED", "checkout-order", representation(gateway, order))
    return _joined(order["return_url"], f"token={order['id']}&PayerID=PAYERSANDB2X3")


def _joined(address: str, query: str) -> str:
    if not address:
        return ""
    return f"{address}{'&' if '?' in address else '?'}{query}"


def approval_page(gateway: "PayPal", request: Request) -> Reply:
    order = standing(gateway, request.query.get("token", ""))
    if order is None:
        text_of_page = "This order is unknown, or it waited too long for its payer."
        return html_reply(
            pages.message_page(gateway=gateway, heading="Nothing to pay", text=text_of_page, is_good=False), 404
        )
    if order["status"] not in OPEN:
        return html_reply(_done_page(gateway, order))
    act = request.form().get("act", "") if request.method == "POST" else ""
    if act == "challenge":
        return html_reply(_page(gateway, order, is_challenged=True))
    if act in ("pay", "decline", "echeck", "abandon"):
        target = act_of_payer(gateway, order, act)
        return see_other(target) if target else html_reply(_done_page(gateway, order))
    return html_reply(_page(gateway, order))


def _page(gateway: "PayPal", order: dict[str, Any], *, is_challenged: bool = False) -> str:
    unit = order["purchase_units"][0]
    choices = [
        pages.Button(act="pay", label="Approve the payment", is_main=True),
        pages.Button(act="decline", label="Approve with a card that will be refused"),
        pages.Button(act="echeck", label="Approve by eCheck (arrives in three days)"),
        pages.Button(act="challenge", label="Be asked for a confirmation first"),
        pages.Button(act="abandon", label="Cancel and go back to the shop"),
    ]
    if is_challenged:
        choices = [
            pages.Button(act="pay", label="It is me: approve the payment", is_main=True),
            pages.Button(act="abandon", label="Cancel and go back to the shop"),
        ]
    notice = "Your card was refused. Choose another way to pay." if order["was_declined"] else ""
    return pages.payment_page(
        gateway=gateway,
        shop=order["shop"],
        amount_minor=order["amount_minor"],
        currency=order["currency"],
        facts={"Order": order["id"], "For": unit.get("description", ""), "Invoice": unit.get("invoice_id", "")},
        buttons=choices,
        notice="Your bank wants to know that it is you." if is_challenged else notice,
        action=_page_url(order),
    )


def _done_page(gateway: "PayPal", order: dict[str, Any]) -> str:
    told = {"APPROVED": "You approved this payment; the shop collects it now.", "COMPLETED": "This order is paid."}
    return pages.message_page(
        gateway=gateway,
        heading="Thank you" if order["status"] in told else "You left",
        text=told.get(order["status"], "Nothing was paid."),
        link=_joined(order["return_url"], f"token={order['id']}"),
        label=f"Back to {order['shop']}",
    )


# ---------------------------------------------------------------- books


def books(gateway: "PayPal") -> list[Entry]:
    return [_entry(gateway, order) for order in gateway.state["orders"].values()]


def _entry(gateway: "PayPal", order: dict[str, Any]) -> Entry:
    unit = order["purchase_units"][0]
    captured = gateway.state["captures"].get(order["capture_id"])
    if captured:
        state = "pending" if captured["status"] == "PENDING" else "paid"
    elif standing(gateway, order["id"]) is None:
        state = "expired"
    elif order["was_declined"] and order["status"] != "APPROVED":
        state = "declined"
    else:
        state = "open"
    return Entry(
        kind="payment",
        id=order["id"],
        reference=unit.get("custom_id") or unit.get("invoice_id") or unit.get("reference_id", ""),
        amount_minor=order["amount_minor"],
        currency=order["currency"],
        state=state,
        gateway_state=order["status"],
        created_at=order["created_at"],
        updated_at=order["updated_at"],
        page_url=_page_url(order),
    )
