"""A payment at CinetPay, whichever API made it: its page, what the payer does there, and how it ends."""

import secrets
from typing import TYPE_CHECKING, Any

from sandbox import pages
from sandbox.books import Entry
from sandbox.cinetpay import notices, operators
from sandbox.gateway import CannotPlay
from sandbox.wire import Reply, Request, html_reply, see_other

if TYPE_CHECKING:
    from sandbox.cinetpay import CinetPay

LINK_SECONDS = 30 * 60
SLOW_SECONDS = 60
OPEN = ("WAITING", "OTP")
ENDS = {"pay": "ACCEPTED", "decline": "REFUSED", "poor": "POOR", "abandon": "CANCELLED", "slow": "PENDING"}
MESSAGES = {
    "WAITING": "WAITING_CUSTOMER_PAYMENT",
    "OTP": "WAITING_CUSTOMER_OTP_CODE",
    "PENDING": "WAITING_CUSTOMER_TO_VALIDATE",
    "ACCEPTED": "SUCCES",
    "REFUSED": "PAYMENT_FAILED",
    "POOR": "INSUFFICIENT_BALANCE",
    "CANCELLED": "TRANSACTION_CANCEL",
    "EXPIRED": "ABONNEMENT_OR_TRANSACTIONS_EXPIRED",
}
STATES = {
    "WAITING": "open",
    "OTP": "open",
    "PENDING": "pending",
    "ACCEPTED": "paid",
    "REFUSED": "declined",
    "POOR": "declined",
    "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}
METHODS = {"XOF": "OM", "XAF": "OMCM", "GNF": "OMGN", "CDF": "OMCD", "USD": "VISAM"}
PREFIXES = {"XOF": "225", "XAF": "237", "GNF": "224", "CDF": "243", "USD": "1"}


def lay_routes(gateway: "CinetPay") -> None:
    def page(request: Request, payment_id: str) -> Reply:
        return payment_page(gateway, request, payment_id)

    gateway.router.add("GET POST", "/payment/{payment_id}", page, is_page=True)


def make(gateway: "CinetPay", *, api: str, base_url: str, details: dict[str, Any]) -> dict[str, Any]:
    """Both APIs come here; `details` has the fields that they name differently."""
    now = gateway.now()
    payment = {
        "id": secrets.token_hex(32),
        "api": api,
        "transaction_id": "EA" + secrets.token_hex(8).upper(),
        "notify_token": secrets.token_hex(16),
        "state": "WAITING",
        "message": MESSAGES["WAITING"],
        "method": operators.method_of(details["phone"], default=METHODS[details["currency"]]),
        "prefix": PREFIXES[details["currency"]],
        "operator_id": "",
        "due_at": 0,
        "created_at": now,
        "updated_at": now,
        **details,
    }
    payment["page_url"] = f"{base_url}/payment/{payment['id']}"
    gateway.state["payments"][payment["id"]] = payment
    notices.tempt(gateway, payment)
    return payment


def by_reference(gateway: "CinetPay", api: str, reference: str) -> dict[str, Any] | None:
    """The payment by the shop's reference, CinetPay's id or the token of its page."""
    for payment in gateway.state["payments"].values():
        if payment["api"] == api and reference in (
            payment["client_transaction_id"],
            payment["transaction_id"],
            payment["id"],
        ):
            found: dict[str, Any] = payment
            return found
    return None


def conclude_due(gateway: "CinetPay") -> None:
    for payment in gateway.state["payments"].values():
        if payment["state"] in OPEN and payment["created_at"] + LINK_SECONDS <= gateway.now():
            _move(gateway, payment, "EXPIRED")
        elif payment["state"] == "PENDING" and payment["due_at"] <= gateway.now():
            _move(gateway, payment, "ACCEPTED")


def _move(gateway: "CinetPay", payment: dict[str, Any], state: str) -> None:
    payment |= {"state": state, "message": MESSAGES[state], "updated_at": gateway.now()}
    if state == "PENDING":
        payment["due_at"] = gateway.now() + SLOW_SECONDS
    if state == "ACCEPTED":
        payment["operator_id"] = "MP" + secrets.token_hex(6).upper()
    notices.of_payment(gateway, payment)


def act_of_payer(gateway: "CinetPay", payment: dict[str, Any], act: str) -> str:
    """What the payer does on the page; where the browser goes next."""
    if payment["state"] not in OPEN:
        raise CannotPlay(f"The payment is {payment['state']}: the payer has nothing left to do.")
    if act == "challenge":  # the operator asks for a code, and the payer knows it
        payment |= {"state": "OTP", "message": MESSAGES["OTP"]}
        act = "pay"
    _move(gateway, payment, ENDS[act])
    is_good = payment["state"] in ("ACCEPTED", "PENDING")
    target = payment["return_url"] if is_good else payment["failed_url"] or payment["return_url"]
    if not target:
        return ""
    mark = "&" if "?" in target else "?"
    return f"{target}{mark}transaction_id={payment['client_transaction_id']}&token={payment['id']}"


def payment_page(gateway: "CinetPay", request: Request, payment_id: str) -> Reply:
    payment = gateway.state["payments"].get(payment_id)
    if payment is None:
        heading, why = "Nothing to pay", "This payment page is unknown."
        return html_reply(pages.message_page(gateway=gateway, heading=heading, text=why, is_good=False), 404)
    act = request.form().get("act", "") if request.method == "POST" else ""
    if payment["state"] not in OPEN or payment["created_at"] + LINK_SECONDS <= gateway.now():
        return html_reply(_done_page(gateway, payment))
    if act == "code":
        payment |= {"state": "OTP", "message": MESSAGES["OTP"]}
    elif act in ENDS:
        target = act_of_payer(gateway, payment, act)
        return see_other(target) if target else html_reply(_done_page(gateway, payment))
    return html_reply(_page(gateway, payment))


def _page(gateway: "CinetPay", payment: dict[str, Any]) -> str:
    choices = [
        pages.Button(act="pay", label="Pay with Mobile Money", is_main=True),
        pages.Button(act="slow", label="Pay, and be confirmed a minute later"),
        pages.Button(act="code", label="Be asked for a code (OTP)"),
        pages.Button(act="decline", label="Be refused by the operator"),
        pages.Button(act="poor", label="Have too little on the account"),
        pages.Button(act="abandon", label="Cancel and go back to the shop"),
    ]
    fields = ""
    if payment["state"] == "OTP":
        fields = (
            '<label for="code">Code from your phone (any will do)</label><input id="code" name="code" value="123456">'
        )
        choices = [pages.Button(act="pay", label="Confirm the code", is_main=True), choices[-1]]
    return pages.payment_page(
        gateway=gateway,
        shop=gateway.settings["shop"],
        amount_minor=payment["amount_minor"],
        currency=payment["currency"],
        facts={
            "For": payment["description"],
            "Reference": payment["client_transaction_id"],
            "Phone": payment["phone"],
        },
        buttons=choices,
        fields=fields,
        action=payment["page_url"],
    )


def _done_page(gateway: "CinetPay", payment: dict[str, Any]) -> str:
    return pages.message_page(
        gateway=gateway,
        heading="Thank you" if payment["state"] == "ACCEPTED" else payment["message"].replace("_", " ").capitalize(),
        text="The payment is made." if payment["state"] == "ACCEPTED" else "This page takes no payment any more.",
        link=payment["return_url"],
        label=f"Back to {gateway.settings['shop']}",
        is_good=payment["state"] in ("ACCEPTED", "PENDING"),
    )


def books(gateway: "CinetPay") -> list[Entry]:
    return [
        Entry(
            kind="payment",
            id=payment["transaction_id"],
            reference=payment["client_transaction_id"],
            amount_minor=payment["amount_minor"],
            currency=payment["currency"],
            state=STATES[payment["state"]],
            gateway_state=payment["message"],
            created_at=payment["created_at"],
            updated_at=payment["updated_at"],
            page_url=payment["page_url"],
        )
        for payment in gateway.state["payments"].values()
    ]
