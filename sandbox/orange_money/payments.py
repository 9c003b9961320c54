"""A payment at Orange: made by the shop, paid on Orange's page within ten minutes, asked for by status."""

import secrets
from typing import TYPE_CHECKING, Any

from sandbox import money, pages
from sandbox.books import Entry
from sandbox.gateway import CannotPlay
from sandbox.wire import Handler, Reply, Request, html_reply, json_reply, see_other

if TYPE_CHECKING:
    from sandbox.orange_money import OrangeMoney

SESSION_SECONDS = 600
RUNNING_SECONDS = 30
LONGEST_ID, LONGEST_ADDRESS = 30, 120
REQUIRED = ("merchant_key", "currency", "order_id", "amount", "return_url", "cancel_url", "notif_url", "lang")
CURRENCIES = {
    "dev": "OUV",
    **dict.fromkeys(("ci", "sn", "ml", "bf", "gw", "ne"), "XOF"),
    **dict.fromkeys(("cm", "cf"), "XAF"),
    "gn": "GNF",
    "mg": "MGA",
    "cd": "CDF",
}
ENDS = {"pay": "SUCCESS", "challenge": "SUCCESS", "decline": "FAILED", "slow": "PENDING"}
STATES = {"INITIATED": "open", "PENDING": "pending", "SUCCESS": "paid", "FAILED": "declined", "EXPIRED": "expired"}
CHOICES = [
    pages.Button(act="pay", label="Pay with this code", is_main=True),
    pages.Button(act="slow", label="Pay, and be confirmed half a minute later"),
    pages.Button(act="decline", label="Type a wrong code"),
    pages.Button(act="abandon", label="Cancel and go back to the shop"),
]
FIELDS = """<label for="number">Your Orange number</label>
<input id="number" name="number" inputmode="tel" value="0700000000">
<label for="code">Single-use code (any will do)</label>
<input id="code" name="code" inputmode="numeric" autocomplete="off" value="123456">"""


def lay_routes(gateway: "OrangeMoney") -> None:
    router = gateway.router
    start = "/orange-money-webpay/{country}/v1"
    router.add("POST", f"{start}/webpayment", _guarded(gateway, create))
    router.add("POST", f"{start}/transactionstatus", _guarded(gateway, status))
    router.add(
        "GET POST",
        "/payment/pay_token/{pay_token}",
        lambda request, pay_token: payment_page(gateway, request, pay_token),
        is_page=True,
    )


def refusal(status: int, code: int, message: str, description: str) -> Reply:
    return json_reply({"code": code, "message": message, "description": description}, status)


def _guarded(gateway: "OrangeMoney", handler: Any) -> Handler:
    def handle(request: Request, country: str) -> Reply:
        token = request.bearer()
        if not token:
            return refusal(401, 40, "Missing credentials", "The request has no token.")
        expires_at = gateway.state["tokens"].get(token)
        if expires_at is None:
            return refusal(401, 41, "Invalid credentials", "The token is unknown.")
        if expires_at <= gateway.now():
            return refusal(401, 42, "Expired credentials", "The token has expired.")
        if country not in CURRENCIES:
            return refusal(403, 50, "Access denied", "This country is not part of the contract.")
        reply: Reply = handler(gateway, request, country)
        return reply

    return handle


def create(gateway: "OrangeMoney", request: Request, country: str) -> Reply:
    asked = request.json()
    if missing := [name for name in REQUIRED if asked.get(name) in (None, "")]:
        return refusal(400, 23, "Missing body field", f"{', '.join(missing)} required.")
    if asked["merchant_key"] != gateway.settings["merchant_key"]:
        return refusal(403, 50, "Access denied", "The merchant key is unknown.")
    if wrong := _wrong(asked, country):
        return refusal(400, 24, "Invalid body field", wrong)
    if any(known["order_id"] == asked["order_id"] for known in gateway.state["payments"].values()):
        return refusal(400, 1204, "Order id already used", "An order_id can be used once, whatever became of it.")
    pay_token = secrets.token_hex(32)
    payment = {
        "pay_token": pay_token,
        "order_id": asked["order_id"],
        "amount": asked["amount"],
        "amount_minor": money.minor(asked["amount"], asked["currency"]),
        "currency": asked["currency"],
        "country": country,
        "status": "INITIATED",
        "txnid": "",
        "notif_token": secrets.token_hex(16),
        "notif_url": asked["notif_url"],
        "return_url": asked["return_url"],
        "cancel_url": asked["cancel_url"],
        "shop": str(asked.get("reference") or gateway.settings["shop"]),
        "due_at": 0,
        "page_url": f"{request.base_url}/payment/pay_token/{pay_token}",
        "created_at": gateway.now(),
        "updated_at": gateway.now(),
    }
    gateway.state["payments"][pay_token] = payment
    gateway.tempt(payment["notif_url"], subject=f"SUCCESS {payment['order_id']}", content=_told(payment))
    shown = {name: payment[name] for name in ("pay_token", "notif_token")}
    return json_reply({"status": 201, "message": "OK", **shown, "payment_url": payment["page_url"]}, 201)


def _wrong(asked: dict[str, Any], country: str) -> str:
    amount = asked["amount"]
    if asked["currency"] != CURRENCIES[country]:
        return f"The currency here is {CURRENCIES[country]}."
    if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
        return "amount is a positive whole number."
    if len(str(asked["order_id"])) > LONGEST_ID or len(str(asked.get("reference", ""))) > LONGEST_ID:
        return f"order_id and reference have at most {LONGEST_ID} letters."
    if any(len(str(asked[name])) > LONGEST_ADDRESS for name in ("return_url", "cancel_url", "notif_url")):
        return f"An address has at most {LONGEST_ADDRESS} letters."
    return "" if asked["lang"] in ("fr", "en") else "lang is fr or en."


def status(gateway: "OrangeMoney", request: Request, country: str) -> Reply:
    asked = request.json()
    if missing := [name for name in ("order_id", "amount", "pay_token") if asked.get(name) in (None, "")]:
        return refusal(400, 23, "Missing body field", f"{', '.join(missing)} required.")
    payment = gateway.state["payments"].get(asked["pay_token"])
    if payment is None or (payment["order_id"], payment["amount"]) != (asked["order_id"], asked["amount"]):
        return refusal(404, 60, "Resource not found", "No payment has this order_id, amount and pay_token.")
    shown = {"status": payment["status"], "order_id": payment["order_id"]}
    return json_reply({**shown, **({"txnid": payment["txnid"]} if payment["txnid"] else {})}, 201)


def conclude_due(gateway: "OrangeMoney") -> None:
    for payment in gateway.state["payments"].values():
        if payment["status"] == "INITIATED" and payment["created_at"] + SESSION_SECONDS <= gateway.now():
            payment |= {"status": "EXPIRED", "updated_at": gateway.now()}  # Orange says nothing of it
        elif payment["status"] == "PENDING" and payment["due_at"] <= gateway.now():
            _move(gateway, payment, "SUCCESS")


def _move(gateway: "OrangeMoney", payment: dict[str, Any], status: str) -> None:
    payment |= {"status": status, "updated_at": gateway.now()}
    if status == "PENDING":
        payment["due_at"] = gateway.now() + RUNNING_SECONDS
        return
    payment["txnid"] = f"MP{secrets.token_hex(3).upper()}.{secrets.randbelow(10**4):04}.A{secrets.randbelow(10**5):05}"
    gateway.notify(payment["notif_url"], subject=f"{status} {payment['order_id']}", content=_told(payment))


def _told(payment: dict[str, Any]) -> dict[str, Any]:
    return {"status": payment["status"], "notif_token": payment["notif_token"], "txnid": payment["txnid"]}


def act_of_payer(gateway: "OrangeMoney", payment: dict[str, Any], act: str) -> str:
    if payment["status"] != "INITIATED":
        raise CannotPlay(f"The payment is {payment['status']}: the payer has nothing left to do.")
    if act == "abandon":  # the session stays open until it runs out
        return str(payment["cancel_url"])
    _move(gateway, payment, ENDS[act])
    return str(payment["cancel_url"] if payment["status"] == "FAILED" else payment["return_url"])


def payment_page(gateway: "OrangeMoney", request: Request, pay_token: str) -> Reply:
    conclude_due(gateway)
    payment = gateway.state["payments"].get(pay_token)
    if payment is None:
        why = "This payment page is unknown."
        return html_reply(pages.message_page(gateway=gateway, heading="Nothing to pay", text=why, is_good=False), 404)
    act = request.form().get("act", "") if request.method == "POST" else ""
    if payment["status"] == "INITIATED" and act in (*ENDS, "abandon"):
        return see_other(act_of_payer(gateway, payment, act))
    if payment["status"] != "INITIATED":
        return html_reply(_done_page(gateway, payment))
    page = pages.payment_page(
        gateway=gateway,
        shop=payment["shop"],
        amount_minor=payment["amount_minor"],
        currency=payment["currency"],
        facts={"Order": payment["order_id"]},
        buttons=CHOICES,
        fields=FIELDS,
        action=payment["page_url"],
    )
    return html_reply(page)


def _done_page(gateway: "OrangeMoney", payment: dict[str, Any]) -> str:
    is_good = payment["status"] in ("SUCCESS", "PENDING")
    return pages.message_page(
        gateway=gateway,
        heading=payment["status"].capitalize(),
        text="The payment is made." if payment["status"] == "SUCCESS" else "This page takes no payment any more.",
        link=payment["return_url"] if is_good else payment["cancel_url"],
        label=f"Back to {payment['shop']}",
        is_good=is_good,
    )


def books(gateway: "OrangeMoney") -> list[Entry]:
    return [
        Entry(
            kind="payment",
            id=payment["pay_token"],
            reference=payment["order_id"],
            amount_minor=payment["amount_minor"],
            currency=payment["currency"],
            state=STATES[payment["status"]],
            gateway_state=payment["status"],
            created_at=payment["created_at"],
            updated_at=payment["updated_at"],
            page_url=payment["page_url"],
        )
        for payment in gateway.state["payments"].values()
    ]
