"""Checkout Sessions: what is on sale, to whom, and what becomes of it when the buyer has paid."""

from sandbox.stripe import (
    amounts,
    catalogue,
    discounts,
    errors,
    intents,
    lists,
    plans,
    session_shape,
    subscriptions,
    taxes,
)
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.plans import Wish
from sandbox.stripe.state import Call, Routes, State, Thing

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
            message = (
                "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use"
                " only one-time prices."
            )
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
    _check_tax(state, params)
    if params.has("customer_update") and not params.has("customer"):
        raise StripeError("`customer_update` can only be used with `customer`.")
    if len(params.text("client_reference_id") or "") > REFERENCE_LENGTH_MAXIMUM:
        raise errors.parameter_invalid("client_reference_id", "Invalid string: at most 200 characters.")
    for name, mode in (("payment_intent_data", "payment"), ("subscription_data", "subscription")):
        if params.has(name) and params.text("mode") != mode:
            raise errors.parameter_invalid(name, f"You can not pass `{name}` in `{params.text('mode')}` mode.")


def _check_tax(state: State, params: Params) -> None:
    """Stripe Tax needs to know where the buyer is, and whether a price contains the tax."""
    if not params.inside("automatic_tax").flag("enabled"):
        return
    if params.has("customer") and params.inside("customer_update").text("address") != "auto":
        raise StripeError(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the"
            " Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto'.",
            code="customer_tax_location_invalid",
        )
    if (
        params.has("customer")
        and params.inside("tax_id_collection").flag("enabled")
        and params.inside("customer_update").text("name") != "auto"
    ):
        raise StripeError("Tax ID collection requires updating business name on the customer.")
    for line in params.each("line_items"):
        price = state.named("price", line, "price") if not line.has("price_data") else None
        said = price["tax_behavior"] if price else line.inside("price_data").text("tax_behavior")
        if said not in ("inclusive", "exclusive"):
            raise StripeError("`tax_behavior` is required on prices when automatic tax is enabled.")


def _currency(params: Params, wanted: list[Wish]) -> str | None:
    return wanted[0].price["currency"] if wanted else params.text("currency")


def _expiry(state: State, params: Params) -> int:
    wanted = params.integer("expires_at")
    now = state.time()
    if wanted is None:
        return now + LONGEST_SECONDS
    if not SHORTEST_SECONDS - CARD_SLACK_SECONDS <= wanted - now <= LONGEST_SECONDS + CARD_SLACK_SECONDS:
        message = (
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session"
            " creation."
        )
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
    reckoned = _taxes(session, wished, [cost - taken for cost, taken in zip(costs, reductions, strict=True)])
    tax, on_top = (sum(found["amount"] for found in chosen) for chosen in (reckoned, _added(reckoned)))
    state.private(session)["taxes"] = reckoned
    blank: list[Thing | None] = [None] * len(wished)
    state.private(session)["lines"] = [
        session_shape.item(each, plans.named(state, each.price), cost, taken, found)
        for each, cost, taken, found in zip(wished, costs, reductions, reckoned or blank, strict=True)
    ]
    session.update(
        amount_subtotal=subtotal,
        amount_total=subtotal - off + on_top,
        discounts=[
            {"coupon": coupon["id"], "promotion_code": code["id"] if code else None}
            for coupon, code in coupons_of(state, session)
        ],
        total_details={"amount_discount": off, "amount_shipping": 0, "amount_tax": tax},
    )


def _taxes(session: Thing, wished: list[Wish], left: list[int]) -> list[Thing]:
    """What each line bears, once the buyer has said where they are."""
    details = session["customer_details"] or {}
    if not session["automatic_tax"]["enabled"] or not details.get("address"):
        return []
    country, ids = details["address"]["country"], details["tax_ids"] or []
    return [
        taxes.reckon(amount, each.price["tax_behavior"], country, ids)
        for each, amount in zip(wished, left, strict=True)
    ]


def _added(reckoned: list[Thing]) -> list[Thing]:
    return [found for found in reckoned if not found["is_inside"]]


def _breakdown(state: State, session: Thing) -> Thing:
    known = state.private(session).get("taxes") or []
    return {"discounts": [], "taxes": [taxes.in_breakdown(state, found) for found in known]}


def take_promotion_code(state: State, session: Thing, typed: str) -> None:
    """The buyer types a code on the page."""
    found = next((c for c in state.all("promotion_code") if c["active"] and c["code"].lower() == typed.lower()), None)
    if found is None:
        raise StripeError("This code is invalid.", code="resource_missing")
    coupon = state.get("coupon", found["promotion"]["coupon"])
    discounts.check(state, coupon, found, state.find("customer", session["customer"]))
    state.private(session)["coupons"] = [{"coupon": coupon["id"], "code": found["id"]}]
    price_it(state, session)


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


# Of the details of totals, which are no object with a name.
lists.INCLUDABLE["", "breakdown"] = _breakdown
lists.INCLUDABLE["item", "discounts"] = lambda state, line: []
lists.INCLUDABLE["checkout.session", "line_items"] = lambda state, session: lists.wrap(
    state.private(session).get("lines", []), f"/v1/checkout/sessions/{session['id']}/line_items"
)

ROUTES: Routes = [
    ("POST", "/v1/checkout/sessions", create),
    ("GET", "/v1/checkout/sessions", listed),
    ("GET", "/v1/checkout/sessions/{name}", retrieve),
    ("POST", "/v1/checkout/sessions/{name}", update),
    ("POST", "/v1/checkout/sessions/{name}/expire", expire_call),
    ("GET", "/v1/checkout/sessions/{name}/line_items", line_items),
]
