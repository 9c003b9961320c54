"""The pages' HTML: Checkout, the bank's challenge, an invoice, the portal."""

from collections.abc import Iterable

from sandbox import clock, money, pages
from sandbox.gateway import Gateway
from sandbox.pages import Button, escape
from sandbox.stripe import amounts, lifecycle, plans
from sandbox.stripe.state import State, Thing

SHOP = "Tirelire"
KNOWN_CARDS = (
    ("4242 4242 4242 4242", "is paid"),
    ("4000 0025 0000 3155", "the bank asks first (3-D Secure)"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 9995", "has insufficient funds"),
    ("4000 0000 0000 0341", "is kept, but fails when it is charged later"),
    ("4000 0000 0000 0069", "has expired"),
    ("4000 0000 0000 0259", "is paid, and disputed at once"),
    ("4000 0000 0000 5126", "is paid; a refund bounces a day later"),
)


def shown(amount: int, currency: str) -> str:
    return money.shown(amounts.books_minor(amount, currency), currency.upper())


def day(moment: int | None) -> str:
    return clock.text(moment)[:10] if moment else ""


def card_fields(*, asks_email: bool = False) -> str:
    """Filled in already: a click is enough."""
    rows = "".join(f"<tr><td><code>{number}</code></td><td>{what}</td></tr>" for number, what in KNOWN_CARDS)
    email = (
        '<label for="email">E-mail</label><input id="email" name="email" type="email" value="buyer@sandbox.example">'
        if asks_email
        else ""
    )
    return f"""{email}
<label for="name">Name on the card</label><input id="name" name="name" value="Ada Sandbox" autocomplete="off">
<label for="number">Card number</label>
<input id="number" name="number" value="4242 4242 4242 4242" inputmode="numeric" autocomplete="off">
<div style="display: flex; gap: .8rem"><div style="flex: 1">
<label for="expiry">Expires</label><input id="expiry" name="expiry" value="12 / 34" autocomplete="off"></div>
<div style="flex: 1"><label for="cvc">CVC</label><input id="cvc" name="cvc" value="123" autocomplete="off"></div></div>
<details style="margin: .8rem 0"><summary class="quiet">Other test cards</summary><table>{rows}</table></details>"""


def checkout(gateway: Gateway, state: State, session: Thing, *, needs_card: bool, notice: str = "") -> str:
    lines = state.private(session).get("lines", [])
    facts = {
        line["description"] + (f" × {line['quantity']}" if line["quantity"] > 1 else ""): shown(  # noqa: RUF001
            line["amount_subtotal"], line["currency"]
        )
        for line in lines
    }
    details = session["total_details"] or {}
    if details.get("amount_discount"):
        facts["Discount"] = "−" + shown(details["amount_discount"], session["currency"])  # noqa: RUF001
    facts |= {
        "Customer": (session["customer_details"] or {}).get("email") or "",
        "Reference": session["client_reference_id"] or "",
    }
    promotion = ""
    if session["allow_promotion_codes"]:
        promotion = """<label for="promotion">Promotion code</label>
<input id="promotion" name="promotion" autocomplete="off"><button name="act" value="promotion">Use this code</button>"""
    fields = card_fields(asks_email=not session["customer_details"]) if needs_card else ""
    amount = session["amount_total"] or 0
    main = _main_label(session, amount)
    buttons = [Button(act="card", label=main, is_main=True)]
    if session["mode"] == "payment" and amount:
        buttons.append(Button(act="debit", label="Pay by bank debit: it arrives tomorrow"))
        buttons.append(Button(act="bad_debit", label="Pay by bank debit: it comes back"))
    buttons.append(Button(act="abandon", label="Go back without paying" if amount else "Go back"))
    return pages.payment_page(
        gateway=gateway,
        shop=SHOP,
        amount_minor=amounts.books_minor(amount, session["currency"] or "eur"),
        currency=(session["currency"] or "eur").upper(),
        facts=facts,
        buttons=buttons,
        fields=promotion + fields,
        notice=notice,
    )


def _main_label(session: Thing, amount: int) -> str:
    match session["mode"]:
        case "setup":
            return "Save this card"
        case "subscription":
            return f"Subscribe and pay {shown(amount, session['currency'])}" if amount else "Start the trial"
    return f"Pay {shown(amount, session['currency'])}" if amount else "Complete the order"


def single(gateway: Gateway, thing: Thing, *, amount: int, facts: dict[str, str], notice: str = "") -> str:
    """An invoice, or a PaymentIntent whose shop has a form of its own: this one stands in for it."""
    currency = thing.get("currency") or "eur"
    label = f"Pay {shown(amount, currency)}" if amount else "Save this card"
    return pages.payment_page(
        gateway=gateway,
        shop=SHOP,
        amount_minor=amounts.books_minor(amount, currency),
        currency=currency.upper(),
        facts=facts,
        buttons=[Button(act="card", label=label, is_main=True)],
        fields=card_fields(),
        notice=notice,
    )


def challenge(gateway: Gateway) -> str:
    body = """<div class="card"><div class="brand">Your bank</div><div class="inside">
<p><strong>Is it you?</strong></p>
<p class="quiet">This plays the page of the card's bank (3-D Secure). A real one would ask for a code or a
fingerprint.</p>
<form method="post"><button class="main" name="act" value="pay">Yes, it is me</button>
<button name="act" value="decline">No, I do not know this payment</button></form></div></div>"""
    return pages.page(title="3-D Secure", body=body, colour=gateway.colour)


# ---------------------------------------------------------------- the portal


def portal(gateway: Gateway, state: State, session: Thing, *, notice: str = "", is_good: bool = True) -> str:
    customer = state.get("customer", session["customer"])
    features = state.get("billing_portal.configuration", session["configuration"])["features"]
    living = lifecycle.live_of(state, customer["id"])
    bills = [bill for bill in state.all("invoice") if bill["customer"] == customer["id"]]
    told = f'<p class="notice{" good" if is_good else ""}" role="status">{escape(notice)}</p>' if notice else ""
    back = session["return_url"]
    way_back = f'<p><a href="{escape(back)}">← Back to {SHOP}</a></p>' if back else ""
    subscriptions = "".join(_subscription(state, one, features) for one in living)
    card = _card(state, customer) if features["payment_method_update"]["enabled"] else ""
    history = _history(bills) if features["invoice_history"]["enabled"] and bills else ""
    nothing = '<p class="quiet">There is no subscription.</p>'
    body = f"""{way_back}{told}
<div class="card"><div class="brand">{SHOP}: your subscription</div>
<div class="inside"><p class="quiet">{escape(customer["email"] or customer["name"] or customer["id"])}</p>
{subscriptions or nothing}</div></div>{card}{history}"""
    return pages.page(title="Billing portal", body=body, colour=gateway.colour)


def _subscription(state: State, subscription: Thing, features: Thing) -> str:
    items = lifecycle.items(subscription)
    names = ", ".join(plans.named(state, item["price"]) for item in items)
    cost = shown(sum(plans.cost(item) for item in items), subscription["currency"])
    end = day(subscription["cancel_at"] or lifecycle.period_end(subscription))
    stops = subscription["cancel_at_period_end"] or subscription["cancel_at"]
    when = f"Ends on {end}" if stops else f"Renews on {end}"
    interval = escape(items[0]["price"]["recurring"]["interval"])
    return f"""<p class="amount">{escape(cost)} <span class="quiet">per {interval}</span></p>
<dl><dt>Plan</dt><dd>{escape(names)}</dd><dt>Status</dt><dd>{escape(subscription["status"].replace("_", " "))}</dd>
<dt>Next</dt><dd>{when}</dd></dl>
<form method="post"><input type="hidden" name="subscription" value="{escape(subscription["id"])}">
{_choices(features, stops=bool(stops))}</form>{_switches(state, subscription, features)}"""


def _choices(features: Thing, *, stops: bool) -> str:
    if stops:
        return '<button class="main" name="act" value="resume">Keep my subscription</button>'
    cancel = features["subscription_cancel"]
    if not cancel["enabled"]:
        return ""
    reasons = ""
    if cancel["cancellation_reason"]["enabled"]:
        given = cancel["cancellation_reason"]["options"]
        options = "".join(f'<option value="{escape(one)}">{escape(one.replace("_", " "))}</option>' for one in given)
        reasons = f'<label for="feedback">Why?</label><select id="feedback" name="feedback">{options}</select>'
    label = "Cancel now" if cancel["mode"] == "immediately" else "Cancel at the end of the period"
    return f'{reasons}<button name="act" value="cancel">{label}</button>'


def _switches(state: State, subscription: Thing, features: Thing) -> str:
    if not features["subscription_update"]["enabled"]:
        return ""
    current = {item["price"]["id"] for item in lifecycle.items(subscription)}
    names = [name for product in features["subscription_update"]["products"] or [] for name in product["prices"]]
    offered = [state.get("price", name) for name in names if name not in current]
    if not offered:
        return ""
    options = "".join(
        f'<option value="{escape(price["id"])}">{escape(_offer(state, price))}</option>' for price in offered
    )
    return f"""<form method="post"><input type="hidden" name="subscription" value="{escape(subscription["id"])}">
<label for="price">Another plan</label><select id="price" name="price">{options}</select>
<button name="act" value="switch">Switch to it</button></form>"""


def _offer(state: State, price: Thing) -> str:
    cost = shown(price["unit_amount"] or 0, price["currency"])
    return f"{plans.named(state, price)}: {cost} per {price['recurring']['interval']}"


def _card(state: State, customer: Thing) -> str:
    method = state.find("payment_method", customer["invoice_settings"]["default_payment_method"])
    current = f"{method['card']['brand']} ending in {method['card']['last4']}" if method else "none"
    return f"""<div class="card"><div class="inside">
<p><strong>Your card</strong> <span class="quiet">{escape(current)}</span></p>
<form method="post">{card_fields()}
<button class="main" name="act" value="card">Use this card from now on</button></form></div></div>"""


def _history(bills: Iterable[Thing]) -> str:
    rows = "".join(
        f'<tr><td style="white-space: nowrap">{day(bill["created"])}</td>'
        f"<td>{_number(bill)}</td>"
        f'<td class="number">{escape(shown(bill["total"], bill["currency"]))}</td>'
        f"<td>{escape(bill['status'])}</td></tr>"
        for bill in reversed(list(bills))
    )
    return f"""<div class="card"><div class="inside"><p><strong>Invoices</strong></p>
<div class="scroll"><table>{rows}</table></div></div></div>"""


def _number(bill: Thing) -> str:
    number = escape(bill["number"] or "draft")
    return f'<a href="{escape(bill["hosted_invoice_url"])}">{number}</a>' if bill["status"] == "open" else number
