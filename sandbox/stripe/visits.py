"""People on the hosted pages: what they see, and what their clicks do."""

from collections.abc import Callable

from sandbox import pages
from sandbox.gateway import Gateway
from sandbox.stripe import (
    buyer,
    cards,
    changing,
    connect,
    customers,
    lifecycle,
    methods,
    paying,
    sessions,
    shapes,
    sheets,
)
from sandbox.stripe.buyer import NoLonger, Visit
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, State, Thing
from sandbox.wire import Reply, Request, html_reply, see_other

Page = Callable[..., Reply]

UNKNOWN_CARD = "This sandbox knows Stripe's test cards only: see the list below the fields."


def _over(gateway: Gateway, heading: str, text: str, link: str = "") -> Reply:
    label = "Back to the shop" if link else ""
    return html_reply(pages.message_page(gateway=gateway, heading=heading, text=text, link=link, label=label))


def _nothing_here(gateway: Gateway) -> Reply:
    text = "This page is of no payment that the sandbox knows."
    page = pages.message_page(gateway=gateway, heading="There is nothing here", text=text, is_good=False)
    return html_reply(page, 404)


def _typed_card(form: dict[str, str]) -> cards.Card:
    card = cards.by_number(form.get("number", ""))
    if card is None:
        raise StripeError(UNKNOWN_CARD)
    return card


def _led_on(gateway: Gateway, visit: Visit, done: str) -> Reply:
    if visit.redirect_to:
        return see_other(visit.redirect_to)
    return _over(gateway, done, "You can close this page.")


def checkout(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    session = state.find("checkout.session", name)
    if session is None:
        return _nothing_here(gateway)
    if session["status"] != "open":
        address = session["success_url" if session["status"] == "complete" else "cancel_url"] or ""
        link = address.replace("{CHECKOUT_SESSION_ID}", name)
        return _over(gateway, f"This session is {session['status']}", "Nothing more can be done here.", link)
    if request.method == "GET":
        return _checkout_page(gateway, state, session)
    try:
        visit = _act_at_checkout(state, session, request.form())
    except StripeError as error:
        visit = Visit(state="declined", notice=error.message)
    if visit.state in ("declined", "shown"):
        return _checkout_page(gateway, state, session, notice=visit.notice)
    return _led_on(gateway, visit, "Nothing was paid" if visit.state == "open" else "Thank you")


def _act_at_checkout(state: State, session: Thing, form: dict[str, str]) -> Visit:
    if form.get("act") == "promotion":
        sessions.take_promotion_code(state, session, form.get("promotion", ""))
        return Visit(state="shown")
    if form.get("act") == "abandon":
        return buyer.abandon(session)
    if form.get("act") in ("debit", "bad_debit"):
        return buyer.pay_later(state, session, arrives=form["act"] == "debit")
    card = _typed_card(form) if paying.needs_card(session) else None
    details = shapes.billing_details(form.get("name"), form.get("email"))
    return buyer.pay(state, "checkout.session", session, card, details=details)


def _checkout_page(gateway: Gateway, state: State, session: Thing, notice: str = "") -> Reply:
    needs_card = paying.needs_card(session)
    return html_reply(sheets.checkout(gateway, state, session, needs_card=needs_card, notice=notice))


def challenge(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    found = buyer.found(state, name)
    if found is None:
        return _nothing_here(gateway)
    kind, thing = found
    if not buyer.is_challenged(state, thing):
        return _over(gateway, "Nothing is asked here any more", "The bank has had its answer.")
    if request.method == "GET":
        return html_reply(sheets.challenge(gateway))
    visit = buyer.answer(state, kind, thing, passes=request.form().get("act") == "pay")
    if visit.state == "declined" and kind == "checkout.session":
        return _checkout_page(gateway, state, thing, notice=visit.notice)
    if visit.redirect_to:
        return see_other(visit.redirect_to)
    is_good = visit.state != "declined"
    return _over(
        gateway, "Thank you" if is_good else "It was not confirmed", visit.notice or "You can close this page."
    )


def invoice(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    bill = state.find("invoice", name)
    if bill is None:
        return _nothing_here(gateway)
    if bill["status"] != "open":
        return _over(gateway, f"This invoice is {bill['status']}", f"Number {bill['number']}.")
    facts = {line["description"]: sheets.shown(line["amount"], bill["currency"]) for line in bill["lines"]["data"]}
    facts["Invoice"] = bill["number"]

    def page(notice: str = "") -> Reply:
        return html_reply(sheets.single(gateway, bill, amount=bill["amount_due"], facts=facts, notice=notice))

    return _pay_single(gateway, state, request, ("invoice", bill), page)


def own_form(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    """Where a shop would show Stripe's form on its own page."""
    found = buyer.found(state, name)
    if found is None:
        return _nothing_here(gateway)
    kind, intent = found
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
        return _over(gateway, f"This payment is {intent['status'].replace('_', ' ')}", "Nothing more can be done here.")
    if buyer.is_challenged(state, intent):
        return see_other(f"{state.base_url}/pages/challenge/{name}")

    def page(notice: str = "") -> Reply:
        facts = {"For": intent["description"] or ""}
        return html_reply(sheets.single(gateway, intent, amount=intent.get("amount", 0), facts=facts, notice=notice))

    return _pay_single(gateway, state, request, (kind, intent), page)


def _pay_single(
    gateway: Gateway, state: State, request: Request, what: tuple[str, Thing], page: Callable[..., Reply]
) -> Reply:
    if request.method == "GET":
        return page()
    try:
        visit = buyer.pay(state, *what, _typed_card(request.form()))
    except (StripeError, NoLonger) as error:
        return page(notice=str(error))
    return page(notice=visit.notice) if visit.state == "declined" else _led_on(gateway, visit, "Thank you")


# ---------------------------------------------------------------- the portal


def portal(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    session = state.find("billing_portal.session", name)
    if session is None:
        return _nothing_here(gateway)
    notice, is_good = "", True
    if request.method == "POST":
        form = request.form()
        try:
            notice = _keep_house(state, session, form)
        except StripeError as error:
            notice, is_good = error.message, False
    return html_reply(sheets.portal(gateway, state, session, notice=notice, is_good=is_good))


def _keep_house(state: State, session: Thing, form: dict[str, str]) -> str:
    customer = state.get("customer", session["customer"])
    features = state.get("billing_portal.configuration", session["configuration"])["features"]
    if form.get("act") == "card" and features["payment_method_update"]["enabled"]:
        return _take_card(state, customer, form)
    subscription = state.find("subscription", form.get("subscription"))
    if subscription is None or subscription["customer"] != customer["id"]:
        raise StripeError("There is no such subscription.")
    match form.get("act"):
        case "cancel" if features["subscription_cancel"]["enabled"]:
            return _cancel(state, subscription, features["subscription_cancel"]["mode"], form.get("feedback"))
        case "resume":
            is_flagged = subscription["cancel_at_period_end"]
            _update(state, subscription, {"cancel_at_period_end": "false"} if is_flagged else {"cancel_at": ""})
            return "Your subscription goes on."
        case "switch" if features["subscription_update"]["enabled"]:
            return _switch(state, subscription, form.get("price", ""), features["subscription_update"])
    raise StripeError("The merchant does not offer this here.")


def _update(state: State, subscription: Thing, values: Thing) -> None:
    changing.update(Call(state=state, params=Params(values)), subscription["id"])


def _take_card(state: State, customer: Thing, form: dict[str, str]) -> str:
    """The new card is the one for everything from now on; its bank's challenge is taken as passed."""
    method = methods.make(state, _typed_card(form), shapes.billing_details(form.get("name"), customer["email"]))
    methods.attach(state, method, customer)
    state.private(method)["is_set_up"] = True
    customers.use_by_default(state, customer, method)
    for subscription in lifecycle.live_of(state, customer["id"]):
        if subscription["default_payment_method"]:
            lifecycle.change(state, subscription, default_payment_method=method["id"])
    return "This card is used from now on."


def _cancel(state: State, subscription: Thing, mode: str, feedback: str | None) -> str:
    details: Thing = {"feedback": feedback} if feedback else {}
    if mode == "immediately":
        told = {**subscription["cancellation_details"], **details, "reason": "cancellation_requested"}
        subscription["cancellation_details"] = told
        lifecycle.end(state, subscription)
        return "Your subscription is cancelled."
    # The day in place of the flag, as of subscriptions whose billing mode is flexible, which new ones are.
    ends = str(lifecycle.period_end(subscription))
    _update(state, subscription, {"cancel_at": ends, "cancellation_details": details})
    return "Your subscription ends with this period."


def _switch(state: State, subscription: Thing, price: str, feature: Thing) -> str:
    offered = [name for product in feature["products"] or [] for name in product["prices"]]
    if price not in offered:
        raise StripeError("This plan is not on offer.")
    item = {"id": lifecycle.items(subscription)[0]["id"], "price": price}
    _update(state, subscription, {"items": [item], "proration_behavior": feature["proration_behavior"]})
    return "Your plan has changed."


def onboarding(gateway: Gateway, state: State, request: Request, name: str) -> Reply:
    account = state.find("account", name)
    if account is None:
        return _nothing_here(gateway)
    if request.method == "GET":
        body = """<div class="card"><div class="brand">Stripe: your account</div><div class="inside">
<p>Here a seller would tell who they are and where their bank is.</p>
<form method="post"><button class="main">All told: take me back</button></form></div></div>"""
        return html_reply(pages.page(title="Onboarding", body=body, colour=gateway.colour))
    connect.onboard(state, account)
    return _led_on(
        gateway, Visit(state="done", redirect_to=state.private(account).get("return_url") or ""), "Thank you"
    )


ROUTES = [
    ("GET POST", "/pages/checkout/{name}", checkout),
    ("GET POST", "/pages/challenge/{name}", challenge),
    ("GET POST", "/pages/invoice/{name}", invoice),
    ("GET POST", "/pages/pay/{name}", own_form),
    ("GET POST", "/pages/portal/{name}", portal),
    ("GET POST", "/pages/onboarding/{name}", onboarding),
]
