"""What becomes of a Checkout Session when its buyer pays: a payment, a saved card, or a subscription."""

from sandbox.stripe import (
    customers,
    discounts,
    intents,
    invoices,
    methods,
    session_shape,
    sessions,
    setups,
    subscriptions,
    taxes,
)
from sandbox.stripe.errors import CardDeclined, StripeError, parameter_missing
from sandbox.stripe.state import State, Thing

DEBIT_SECONDS = 86_400


def needs_card(session: Thing) -> bool:
    """A card is asked for unless there is nothing to pay, and it was said that none is needed then."""
    if session["mode"] == "payment":
        return bool(session["amount_total"])
    return session["mode"] == "setup" or bool(
        session["amount_total"] or session["payment_method_collection"] == "always"
    )


def pay(state: State, session: Thing, method: Thing | None, *, is_authenticated: bool = False) -> CardDeclined | None:
    """The buyer pays. Afterwards the session is complete, or waits for the bank's challenge, or was declined."""
    if session["status"] != "open":
        raise StripeError(f"This session is {session['status']}.")
    match session["mode"]:
        case "setup":
            return _pay_setup(state, session, method, is_authenticated=is_authenticated)
        case "subscription":
            return _pay_subscription(state, session, method, is_authenticated=is_authenticated)
    return _pay_once(state, session, method, is_authenticated=is_authenticated)


def _pay_once(state: State, session: Thing, method: Thing | None, *, is_authenticated: bool) -> CardDeclined | None:
    if not session["amount_total"] or method is None:
        _complete(state, session, "no_payment_required")
        return None
    intent = state.find("payment_intent", state.private(session).get("payment_intent")) or _intent(state, session)
    refusal = intents.attempt(state, intent, method, is_authenticated=is_authenticated)
    if intent["status"] in ("succeeded", "requires_capture"):
        session["payment_intent"] = intent["id"]
        _redeem(state, session, intent)
        _complete(state, session, "paid" if intent["status"] == "succeeded" else "unpaid")
    return refusal


def _intent(state: State, session: Thing) -> Thing:
    given = sessions.params_of(state, session).inside("payment_intent_data")
    owner = _customer(state, session)
    intent = intents.make(
        state,
        amount=session["amount_total"],
        capture_method=given.text("capture_method") or "automatic_async",
        currency=session["currency"],
        customer=owner["id"] if owner else None,
        description=given.text("description"),
        metadata=given.metadata(),
        receipt_email=given.text("receipt_email"),
        setup_future_usage=given.text("setup_future_usage"),
        statement_descriptor_suffix=given.text("statement_descriptor_suffix"),
        transfer_group=given.text("transfer_group"),
    )
    state.private(session)["payment_intent"] = intent["id"]
    state.private(intent)["session"] = session["id"]
    return intent


def _customer(state: State, session: Thing) -> Thing | None:
    """Whose it is: the customer named, or a new one where the mode or the wishes need one."""
    if session["customer"]:
        known = state.get("customer", session["customer"])
        taxes.remember(state, session, known)
        return known
    given = sessions.params_of(state, session).inside("payment_intent_data")
    needs_one = (
        session["mode"] != "payment"
        or session["customer_creation"] == "always"
        or bool(given.text("setup_future_usage"))
        or bool((session["invoice_creation"] or {}).get("enabled"))
    )
    if not needs_one:
        return None
    details = session["customer_details"] or {}
    owner = customers.make(state, email=details.get("email"), name=details.get("name"))
    session["customer"] = owner["id"]
    taxes.remember(state, session, owner)
    return owner


def _redeem(state: State, session: Thing, intent: Thing) -> None:
    """Its coupons are used up by it, and an invoice is written where one is wished for."""
    reductions = _redeem_coupons(state, session)
    if (session["invoice_creation"] or {}).get("enabled"):
        _bill(state, session, intent, reductions)


def _redeem_coupons(state: State, session: Thing) -> list[Thing]:
    owner = {"checkout_session": session["id"], "customer": session["customer"]}
    return [discounts.redeem(state, coupon, code, **owner) for coupon, code in sessions.coupons_of(state, session)]


def _bill(state: State, session: Thing, intent: Thing, reductions: list[Thing]) -> None:
    """invoice_creation: the receipt of a single purchase is an invoice, paid as it is born."""
    owner = state.get("customer", session["customer"])
    given = sessions.params_of(state, session).inside("invoice_creation").inside("invoice_data")
    lines = session_shape.invoice_lines(state, sessions.wanted(state, session), state.time())
    bill = invoices.draw(
        state,
        owner,
        lines,
        reason="manual",
        currency=session["currency"],
        reductions=reductions,
        metadata=given.metadata(),
        description=given.text("description"),
    )
    invoices.finalize(state, bill, intent)
    invoices.mark_paid(state, bill)
    session["invoice"] = bill["id"]


def _pay_setup(state: State, session: Thing, method: Thing | None, *, is_authenticated: bool) -> CardDeclined | None:
    if method is None:
        raise parameter_missing("payment_method")
    owner = state.find("customer", session["customer"])
    intent = state.find("setup_intent", session["setup_intent"])
    if intent is None:
        given = sessions.params_of(state, session).inside("setup_intent_data")
        intent = setups.make(
            state,
            customer=owner["id"] if owner else None,
            description=given.text("description"),
            metadata=given.metadata(),
        )
        session["setup_intent"] = intent["id"]
        state.private(intent)["session"] = session["id"]
    refusal = setups.attempt(state, intent, method, is_authenticated=is_authenticated)
    if intent["status"] == "succeeded":
        _complete(state, session, "no_payment_required")
    return refusal


def _pay_subscription(
    state: State, session: Thing, method: Thing | None, *, is_authenticated: bool
) -> CardDeclined | None:
    """The card is tried before anything is made: a declined buyer leaves no half subscription behind."""
    if method:
        if methods.needs_challenge(state, method) and not is_authenticated:
            state.private(session)["challenged"] = method["id"]
            return None
        card = methods.card_of(state, method)
        if card.code and (session["amount_total"] or not card.attaches):
            return methods.decline(state, method)
    owner = _customer(state, session) or customers.make(state)
    if method:
        method["allow_redisplay"] = "limited"  # given for this plan, and not for purchases to come
        methods.attach(state, method, owner)
        state.private(method)["is_set_up"] = True
    given = sessions.params_of(state, session).inside("subscription_data")
    wished = sessions.wanted(state, session)
    once = [each for each in wished if not each.price["recurring"]]
    for line in session_shape.invoice_lines(state, once, state.time()):
        session_shape.wait_for_invoice(state, owner, line)
    order = subscriptions.Order(
        customer=owner,
        wishes=[each for each in wished if each.price["recurring"]],
        method=method,
        trial_end=sessions.trial_end(state, session),
        coupons=sessions.coupons_of(state, session),
        is_authenticated=is_authenticated,
        facts=subscriptions.facts_of(given) | subscriptions.taxed(session["automatic_tax"]["enabled"]),
    )
    subscription, refusal = subscriptions.start(state, order)
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"])
    _complete(state, session, "paid" if session["amount_total"] else "no_payment_required")
    return refusal


def _complete(state: State, session: Thing, payment_status: str) -> None:
    session.update(status="complete", payment_status=payment_status, url=None)
    state.wake_at(session, None)
    state.tell("checkout.session.completed", session)


# ---------------------------------------------------------------- by bank debit, which takes a day


def pay_later(state: State, session: Thing, method: Thing, *, arrives: bool) -> None:
    """The session is complete, the money is not there: a day later it comes, or it does not."""
    if session["status"] != "open" or session["mode"] != "payment" or not session["amount_total"]:
        raise StripeError("This session cannot be paid by bank debit.")
    intent = state.find("payment_intent", state.private(session).get("payment_intent")) or _intent(state, session)
    intent.update(payment_method=method["id"], payment_method_types=["sepa_debit"], status="processing")
    intent["payment_method_options"] = {"sepa_debit": {}}
    state.private(intent)["arrives"] = arrives
    state.wake_at(intent, state.time() + DEBIT_SECONDS)
    state.tell("payment_intent.processing", intent)
    session.update(payment_intent=intent["id"], payment_method_types=["sepa_debit"])
    _redeem_coupons(state, session)
    _complete(state, session, "unpaid")


def wake(state: State, intent: Thing) -> None:
    """The bank has answered."""
    session = state.get("checkout.session", state.private(intent)["session"])
    refusal = intents.settle_debit(state, intent, arrives=state.private(intent)["arrives"])
    if refusal:
        state.tell("checkout.session.async_payment_failed", session)
        return
    session["payment_status"] = "paid"
    if (session["invoice_creation"] or {}).get("enabled"):
        given = [one for one in state.all("discount") if one["checkout_session"] == session["id"]]
        _bill(state, session, intent, given)
    state.tell("checkout.session.async_payment_succeeded", session)
