"""Checkout Sessions: what is on sale, to whom, and what becomes of it when the buyer has paid."""

from sandbox.stripe import (
    amounts,
    catalogue,
    customers,
    discounts,
    errors,
    intents,
    invoices,
    lists,
    methods,
    plans,
    session_shape,
    setups,
    subscriptions,
)
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.plans import Wish
from sandbox.stripe.state import Call, State, Thing

DAY_SECONDS = 86_400
SHORTEST_SECONDS, LONGEST_SECONDS = 30 * 60, DAY_SECONDS
CARD_SLACK_SECONDS = 60  # clocks differ
ITEMS_MAXIMUM = 100
REFERENCE_LENGTH_MAXIMUM = 200


def wishes(state: State, params: Params, mode: str) -> list[Wish]:
    found = []
    for wish in params.each("line_items"):
        if wish.has("price_data"):
            price: Thing | None = catalogue.make_price(state, wish.inside("price_data"))
        else:
            price = state.named("price", wish, "price")
        if price is None:
            raise errors.parameter_missing(wish.name("price"))
        if price["recurring"] and mode == "payment":
            message = "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices."
            raise errors.parameter_invalid(wish.name("price"), message)
        found.append(Wish(price=price, quantity=wish.integer("quantity", least=1) or 1))
    if not found and mode != "setup":
        raise errors.parameter_missing("line_items")
    if mode == "subscription" and not any(each.price["recurring"] for each in found):
        raise StripeError("You must provide at least one recurring price in `subscription` mode when using prices.")
    if len(found) > ITEMS_MAXIMUM:
        raise StripeError(f"A session takes up to {ITEMS_MAXIMUM} line items.")
    if len({each.price["currency"] for each in found}) > 1:
        raise StripeError("All line items of a session must be of one currency.")
    return found


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    mode = params.choice("mode", "payment setup subscription")
    if not mode:
        raise errors.parameter_missing("mode")
    _check(state, params)
    customer = state.named("customer", params, "customer")
    wanted = wishes(state, params, mode)
    coupons = discounts.asked(state, params, customer)
    session = session_shape.make(state, params, mode=mode, customer=customer, currency=_currency(params, wanted))
    state.add(session)
    state.private(session).update(
        params=params.values,
        wishes=[{"price": each.price["id"], "quantity": each.quantity} for each in wanted],
        coupons=[{"coupon": coupon["id"], "code": code["id"] if code else None} for coupon, code in coupons],
    )
    price_it(state, session)
    if mode == "payment" and session["amount_total"]:
        amounts.check(session["amount_total"], session["currency"], "line_items")
    session["expires_at"] = _expiry(state, params)
    state.wake_at(session, session["expires_at"])
    return session


def _check(state: State, params: Params) -> None:
    """Rules across parameters, which no schema tells."""
    if params.choice("ui_mode", "hosted_page embedded_page form elements", "hosted_page") == "hosted_page":
        params.needed("success_url")
    if params.has("customer") and params.has("customer_email"):
        raise StripeError("You may only specify one of these parameters: customer, customer_email.")
    if params.has("discounts") and params.flag("allow_promotion_codes"):
        raise StripeError("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    if params.has("customer_update") and not params.has("customer"):
        raise StripeError("`customer_update` can only be used with `customer`.")
    if len(params.text("client_reference_id") or "") > REFERENCE_LENGTH_MAXIMUM:
        raise errors.parameter_invalid("client_reference_id", "Invalid string: at most 200 characters.")
    for name, mode in (("payment_intent_data", "payment"), ("subscription_data", "subscription")):
        if params.has(name) and params.text("mode") != mode:
            raise errors.parameter_invalid(name, f"You can not pass `{name}` in `{params.text('mode')}` mode.")


def _currency(params: Params, wanted: list[Wish]) -> str | None:
    return wanted[0].price["currency"] if wanted else params.text("currency")


def _expiry(state: State, params: Params) -> int:
    wanted = params.integer("expires_at")
    now = state.time()
    if wanted is None:
        return now + LONGEST_SECONDS
    if not SHORTEST_SECONDS - CARD_SLACK_SECONDS <= wanted - now <= LONGEST_SECONDS + CARD_SLACK_SECONDS:
        message = "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session creation."
        raise errors.parameter_invalid("expires_at", message)
    return wanted


# ---------------------------------------------------------------- what it costs


def trial_end(state: State, session: Thing) -> int | None:
    given = params_of(state, session).inside("subscription_data")
    return (
        subscriptions.trial_end_of(state, given, wanted(state, session)) if session["mode"] == "subscription" else None
    )


def params_of(state: State, session: Thing) -> Params:
    return Params(state.private(session)["params"])


def wanted(state: State, session: Thing) -> list[Wish]:
    known = state.private(session)["wishes"]
    return [Wish(price=state.get("price", each["price"]), quantity=each["quantity"]) for each in known]


def coupons_of(state: State, session: Thing) -> list[tuple[Thing, Thing | None]]:
    known = state.private(session)["coupons"]
    return [(state.get("coupon", each["coupon"]), state.find("promotion_code", each["code"])) for each in known]


def price_it(state: State, session: Thing) -> None:
    """Sum up: lines, discounts, and nothing today for what is on trial."""
    if session["mode"] == "setup":
        return
    is_trial = trial_end(state, session) is not None
    wished = wanted(state, session)
    costs = [
        0 if is_trial and each.price["recurring"] else (each.price["unit_amount"] or 0) * each.quantity
        for each in wished
    ]
    reductions = [0 for _ in wished]
    for coupon, _ in coupons_of(state, session):
        left = [
            (each.price["product"], cost - taken) for each, cost, taken in zip(wished, costs, reductions, strict=True)
        ]
        more = discounts.shares(coupon, left, session["currency"])
        reductions = [before + now for before, now in zip(reductions, more, strict=True)]
    subtotal, off = sum(costs), sum(reductions)
    state.private(session)["lines"] = [
        session_shape.item(each, plans.named(state, each.price), cost, taken)
        for each, cost, taken in zip(wished, costs, reductions, strict=True)
    ]
    session.update(
        amount_subtotal=subtotal,
        amount_total=subtotal - off,
        discounts=[
            {"coupon": coupon["id"], "promotion_code": code["id"] if code else None}
            for coupon, code in coupons_of(state, session)
        ],
        total_details={"amount_discount": off, "amount_shipping": 0, "amount_tax": 0},
    )


def take_promotion_code(state: State, session: Thing, typed: str) -> None:
    """The buyer types a code on the page."""
    found = next((c for c in state.all("promotion_code") if c["active"] and c["code"].lower() == typed.lower()), None)
    if found is None:
        raise StripeError("This code is invalid.", code="resource_missing")
    coupon = state.get("coupon", found["promotion"]["coupon"])
    discounts.check(state, coupon, found, state.find("customer", session["customer"]))
    state.private(session)["coupons"] = [{"coupon": coupon["id"], "code": found["id"]}]
    price_it(state, session)


# ---------------------------------------------------------------- paying


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
        if (session["invoice_creation"] or {}).get("enabled"):
            _bill(state, session, intent)
        _complete(state, session, "paid" if intent["status"] == "succeeded" else "unpaid")
    return refusal


def _intent(state: State, session: Thing) -> Thing:
    given = params_of(state, session).inside("payment_intent_data")
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
        return state.get("customer", session["customer"])
    given = params_of(state, session).inside("payment_intent_data")
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
    return owner


def _bill(state: State, session: Thing, intent: Thing) -> None:
    """invoice_creation: the receipt of a single purchase is an invoice, paid as it is born."""
    owner = state.get("customer", session["customer"])
    given = params_of(state, session).inside("invoice_creation").inside("invoice_data")
    lines = session_shape.invoice_lines(state, wanted(state, session), state.time())
    reductions = [
        discounts.redeem(state, coupon, code, checkout_session=session["id"], customer=owner["id"])
        for coupon, code in coupons_of(state, session)
    ]
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
    assert method is not None
    owner = state.find("customer", session["customer"])
    intent = state.find("setup_intent", session["setup_intent"])
    if intent is None:
        given = params_of(state, session).inside("setup_intent_data")
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
        if methods.card_of(state, method).code and (
            session["amount_total"] or not methods.card_of(state, method).attaches
        ):
            return methods.decline(state, method)
    owner = _customer(state, session)
    assert owner is not None
    if method:
        methods.attach(state, method, owner)
        state.private(method)["is_set_up"] = True
    given = params_of(state, session).inside("subscription_data")
    wished = wanted(state, session)
    once = [each for each in wished if not each.price["recurring"]]
    for line in session_shape.invoice_lines(state, once, state.time()):
        session_shape.wait_for_invoice(state, owner, line)
    order = subscriptions.Order(
        customer=owner,
        wishes=[each for each in wished if each.price["recurring"]],
        method=method,
        trial_end=trial_end(state, session),
        coupons=coupons_of(state, session),
        is_authenticated=is_authenticated,
        facts=subscriptions.facts_of(given),
    )
    subscription, refusal = subscriptions.start(state, order)
    session.update(subscription=subscription["id"], invoice=subscription["latest_invoice"])
    _complete(state, session, "paid" if session["amount_total"] else "no_payment_required")
    return refusal


def _complete(state: State, session: Thing, payment_status: str) -> None:
    session.update(status="complete", payment_status=payment_status, url=None)
    state.wake_at(session, None)
    state.tell("checkout.session.completed", session)


def expire(state: State, session: Thing) -> None:
    session.update(status="expired", url=None)
    state.wake_at(session, None)
    intent = state.find("payment_intent", state.private(session).get("payment_intent"))
    if intent and intent["status"] in intents.OPEN:
        intents.cancel(state, intent, "expired")
    state.tell("checkout.session.expired", session)


# ---------------------------------------------------------------- the API's other side


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("checkout.session", name)


def update(call: Call, name: str) -> Thing:
    session = call.state.get("checkout.session", name)
    session["metadata"] = call.params.metadata(session["metadata"])
    return session


def expire_call(call: Call, name: str) -> Thing:
    session = call.state.get("checkout.session", name)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
        )
        raise StripeError(f"{message} `{session['status']}`.")
    expire(call.state, session)
    return session


def line_items(call: Call, name: str) -> Thing:
    session = call.state.get("checkout.session", name)
    return lists.wrap(call.state.private(session).get("lines", []), f"/v1/checkout/sessions/{name}/line_items")


def listed(call: Call) -> Thing:
    names = "customer payment_intent subscription status"
    chosen = lists.matching(call.state.all("checkout.session"), call.params, names)
    return lists.page(call, chosen, "/v1/checkout/sessions")


lists.INCLUDABLE["checkout.session", "line_items"] = lambda state, session: lists.wrap(
    state.private(session).get("lines", []), f"/v1/checkout/sessions/{session['id']}/line_items"
)

ROUTES = [
    ("POST", "/v1/checkout/sessions", create),
    ("GET", "/v1/checkout/sessions", listed),
    ("GET", "/v1/checkout/sessions/{name}", retrieve),
    ("POST", "/v1/checkout/sessions/{name}", update),
    ("POST", "/v1/checkout/sessions/{name}/expire", expire_call),
    ("GET", "/v1/checkout/sessions/{name}/line_items", line_items),
]
