"""What a buyer does on a page, whether by a click or because a test plays them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from sandbox.stripe import collection, intents, invoices, methods, paying, sessions, setups, shapes, taxes
from sandbox.stripe.cards import BY_TOKEN, Card
from sandbox.stripe.state import State, Thing

PAYS = BY_TOKEN["pm_card_visa"]
DECLINES = BY_TOKEN["pm_card_visa_chargeDeclined"]
CHALLENGES = BY_TOKEN["pm_card_authenticationRequiredOnSetup"]


class NoLonger(Exception):
    """The page is of something that is over, or that does not take this act."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What came of it: where the browser goes, or what the page says."""

    state: str  # paid, authorized, saved, challenge, declined, open, closed
    redirect_to: str = ""
    notice: str = ""


def found(state: State, name: str) -> tuple[str, Thing] | None:
    """What a page's address, or a client secret, is about."""
    for kind in ("checkout.session", "payment_intent", "setup_intent", "invoice"):
        if thing := state.find(kind, name):
            return kind, thing
    return None


def act(state: State, kind: str, thing: Thing, what: str) -> Visit:
    """pay, decline, abandon, or challenge: a card whose bank asks first, and is told what it wants to hear."""
    if what == "abandon":
        return abandon(thing)
    if is_challenged(state, thing):
        return answer(state, kind, thing, passes=what != "decline")
    card = {"pay": PAYS, "decline": DECLINES, "challenge": CHALLENGES}[what]
    visit = pay(state, kind, thing, card)
    return answer(state, kind, thing, passes=True) if visit.state == "challenge" else visit


def abandon(thing: Thing) -> Visit:
    return Visit(state="open", redirect_to=thing.get("cancel_url") or "")


def pay(state: State, kind: str, thing: Thing, card: Card | None, *, details: Thing | None = None) -> Visit:
    """Try a card on whatever this is."""
    match kind:
        case "checkout.session":
            return _pay_session(state, thing, card, details)
        case "payment_intent" | "setup_intent":
            return _pay_intent(state, kind, thing, card)
    return _pay_invoice(state, thing, card)


def _pay_session(state: State, session: Thing, card: Card | None, details: Thing | None) -> Visit:
    if session["status"] != "open":
        raise NoLonger(f"This session is {session['status']}.")
    if details or not session["customer_details"]:
        _introduce(session, details or {"email": "buyer@sandbox.example", "name": "Ada Sandbox"})
    _locate(state, session)
    method = None
    if paying.needs_card(session) and card:
        method = methods.make(state, card, details or shapes.billing_details("Ada Sandbox"))
    refusal = paying.pay(state, session, method)
    if refusal:
        return Visit(state="declined", notice=refusal.message)
    return _seen(state, session)


def pay_later(state: State, session: Thing, *, arrives: bool) -> Visit:
    """By bank debit: the shop hears today that it is ordered, and tomorrow whether it is paid."""
    if not session["customer_details"]:
        _introduce(session, {"email": "buyer@sandbox.example", "name": "Ada Sandbox"})
    _locate(state, session)
    method = methods.make_debit(state, shapes.billing_details("Ada Sandbox", session["customer_details"]["email"]))
    paying.pay_later(state, session, method, arrives=arrives)
    target = (session["success_url"] or "").replace("{CHECKOUT_SESSION_ID}", session["id"])
    return Visit(state="pending", redirect_to=target)


def _locate(state: State, session: Thing) -> None:
    """With the buyer's country the page knows the tax, and so what is to be paid."""
    if session["automatic_tax"]["enabled"] and not state.private(session).get("payment_intent"):
        taxes.locate(state, session)
        sessions.price_it(state, session)


def _introduce(session: Thing, details: Thing) -> None:
    known = session["customer_details"] or {}
    session["customer_details"] = {
        "address": details.get("address"),
        "email": known.get("email") or details.get("email"),
        "name": details.get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


def _seen(state: State, session: Thing) -> Visit:
    """Where the buyer of a session stands now."""
    if session["status"] == "open":
        return Visit(state="challenge", redirect_to=f"{state.base_url}/pages/challenge/{session['id']}")
    target = (session["success_url"] or "").replace("{CHECKOUT_SESSION_ID}", session["id"])
    return Visit(state="paid", redirect_to=target)


def _pay_intent(state: State, kind: str, intent: Thing, card: Card | None) -> Visit:
    if intent["status"] not in intents.OPEN:
        raise NoLonger(f"This {kind} is {intent['status']}.")
    method = methods.make(state, card or PAYS)
    if kind == "setup_intent":
        refusal = setups.attempt(state, intent, method)
    else:
        refusal = intents.attempt(state, intent, method)
        collection.follow(state, intent)
    if refusal:
        return Visit(state="declined", notice=refusal.message)
    return _standing(state, intent)


def _standing(state: State, intent: Thing) -> Visit:
    if intent["status"] == "requires_action":
        return Visit(state="challenge", redirect_to=f"{state.base_url}/pages/challenge/{intent['id']}")
    done = {"succeeded": "paid", "requires_capture": "authorized"}
    return Visit(state=done.get(intent["status"], "open"), redirect_to=_way_back(state, intent))


def _way_back(state: State, intent: Thing) -> str:
    """The return address, with what Stripe appends to it."""
    address = state.private(intent).get("return_url")
    if not address:
        return ""
    kind = intent["object"]
    status = "succeeded" if intent["status"] in ("succeeded", "requires_capture") else "failed"
    told = {kind: intent["id"], f"{kind}_client_secret": intent["client_secret"], "redirect_status": status}
    return f"{address}{'&' if '?' in address else '?'}{urlencode(told)}"


def _pay_invoice(state: State, bill: Thing, card: Card | None) -> Visit:
    if bill["status"] != "open":
        raise NoLonger(f"This invoice is {bill['status']}.")
    method = methods.make(state, card or PAYS)
    refusal = collection.collect(state, bill, method)
    if refusal:
        return Visit(state="declined", notice=refusal.message)
    intent = invoices.intent_of(state, bill)
    if intent and intent["status"] == "requires_action":
        return Visit(state="challenge", redirect_to=f"{state.base_url}/pages/challenge/{bill['id']}")
    return Visit(state="paid")


# ---------------------------------------------------------------- the bank's challenge


def _intent_behind(state: State, thing: Thing) -> Thing | None:
    match thing["object"]:
        case "payment_intent" | "setup_intent":
            return thing
        case "invoice":
            return invoices.intent_of(state, thing)
    intent = state.find("payment_intent", state.private(thing).get("payment_intent"))
    return intent or state.find("setup_intent", thing["setup_intent"])


def is_challenged(state: State, thing: Thing) -> bool:
    intent = _intent_behind(state, thing)
    return bool(state.private(thing).get("challenged")) or bool(intent and intent["status"] == "requires_action")


def answer(state: State, kind: str, thing: Thing, *, passes: bool) -> Visit:
    """The buyer proves to be the card's owner, or does not."""
    if not is_challenged(state, thing):
        raise NoLonger("No bank asks for anything here any more.")
    intent = _intent_behind(state, thing)
    behind = state.private(intent) if intent else {}
    session = thing if kind == "checkout.session" else state.find("checkout.session", behind.get("session"))
    if not passes:
        return _fail(state, thing, intent)
    chosen = state.private(thing).pop("challenged", None) or (intent or {}).get("payment_method")
    method = state.get("payment_method", str(chosen))
    if session:
        refusal = paying.pay(state, session, method, is_authenticated=True)
        return Visit(state="declined", notice=refusal.message) if refusal else _seen(state, session)
    if intent is None:
        raise NoLonger("There is nothing to pay.")
    if intent["object"] == "setup_intent":
        refusal = setups.attempt(state, intent, method, is_authenticated=True)
    else:
        refusal = intents.attempt(state, intent, method, is_authenticated=True)
        collection.follow(state, intent)
    if refusal:
        return Visit(state="declined", notice=refusal.message, redirect_to=_way_back(state, intent))
    return _standing(state, intent)


def _fail(state: State, thing: Thing, intent: Thing | None) -> Visit:
    state.private(thing).pop("challenged", None)
    notice = "Your bank could not confirm that it is you. Try again, or with another card."
    if intent is None:
        return Visit(state="declined", notice=notice)
    if intent["object"] == "setup_intent":
        setups.fail_challenge(state, intent)
    else:
        intents.fail_challenge(state, intent)
        collection.follow(state, intent)
    return Visit(state="declined", notice=notice, redirect_to=_way_back(state, intent))
