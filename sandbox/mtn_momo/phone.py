"""A page that plays the payer's phone: the prompts that wait, and the answer to one of them."""

from typing import TYPE_CHECKING, Any

from sandbox import money, pages
from sandbox.mtn_momo import collections
from sandbox.wire import Reply, Request, html_reply, see_other

if TYPE_CHECKING:
    from sandbox.mtn_momo import MtnMomo

CHOICES = [
    pages.Button(act="pay", label="Confirm with this PIN", is_main=True),
    pages.Button(act="decline", label="Refuse"),
    pages.Button(act="poor", label="Confirm, with too little on the account"),
    pages.Button(act="abandon", label="Put the phone away"),
]
PIN_FIELD = """<label for="pin">Your PIN (any will do)</label>
<input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off" value="1234">"""
TOLD = {"SUCCESSFUL": "You paid.", "FAILED": "Nothing was paid."}


def lay_routes(gateway: "MtnMomo") -> None:
    router = gateway.router
    router.add("GET", "/phone", lambda request: waiting(gateway, request), is_page=True)
    router.add(
        "GET POST", "/phone/{reference}", lambda request, reference: prompt(gateway, request, reference), is_page=True
    )


def waiting(gateway: "MtnMomo", request: Request) -> Reply:
    open_prompts = [each for each in gateway.state["collections"].values() if each["status"] == "PENDING"]
    lines = "".join(_line(payment) for payment in reversed(open_prompts))
    nothing = '<p class="quiet">No prompt waits. Ask for a payment, then look here again.</p>'
    body = f"""<div class="card"><div class="brand">{pages.escape(gateway.title)}: phones that ring</div>
<div class="inside">{lines or nothing}</div></div>"""
    return html_reply(pages.page(title="Phones", body=body, colour=gateway.colour))


def _line(payment: dict[str, Any]) -> str:
    text = f"{payment['party_id']}: {money.shown(payment['amount_minor'], payment['currency'])}"
    return f'<a class="button" href="{pages.escape(payment["page_url"])}">{pages.escape(text)}</a>'


def prompt(gateway: "MtnMomo", request: Request, reference: str) -> Reply:
    payment = gateway.state["collections"].get(reference)
    if payment is None:
        why = "No phone was asked for this."
        return html_reply(pages.message_page(gateway=gateway, heading="No prompt", text=why, is_good=False), 404)
    act = request.form().get("act", "") if request.method == "POST" else ""
    if act == "abandon":
        return see_other(f"{request.base_url}/phone")
    if act in collections.ACTS and payment["status"] == "PENDING":
        collections.act_of_payer(gateway, payment, act)
    if payment["status"] != "PENDING":
        return html_reply(_done_page(gateway, payment, request))
    page = pages.payment_page(
        gateway=gateway,
        shop=gateway.settings["shop"],
        amount_minor=payment["amount_minor"],
        currency=payment["currency"],
        facts={"Phone": payment["party_id"], "Message": payment["payer_message"], "Reference": payment["external_id"]},
        buttons=CHOICES,
        fields=PIN_FIELD,
        action=payment["page_url"],
    )
    return html_reply(page)


def _done_page(gateway: "MtnMomo", payment: dict[str, Any], request: Request) -> str:
    return pages.message_page(
        gateway=gateway,
        heading=f"{payment['status']} {payment['reason']}".replace("_", " ").strip().capitalize(),
        text=TOLD[payment["status"]],
        link=f"{request.base_url}/phone",
        label="Other prompts",
        is_good=payment["status"] == "SUCCESSFUL",
    )
