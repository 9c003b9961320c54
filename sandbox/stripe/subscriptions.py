"""Subscriptions: how they begin, are read, and are ended by a call."""

from dataclasses import dataclass, field

from sandbox.stripe import (
    billing_shapes,
    calendar,
    collection,
    discounts,
    errors,
    invoices,
    lifecycle,
    lists,
    methods,
    plans,
    setups,
)
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.plans import Wish
from sandbox.stripe.state import Call, Routes, State, Thing

BEHAVIORS = "allow_incomplete default_incomplete error_if_incomplete pending_if_incomplete"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody subscribes to, by a call or on the Checkout page."""

    customer: Thing
    wishes: list[Wish]
    method: Thing | None = None
    trial_end: int | None = None
    coupons: list[tuple[Thing, Thing | None]] = field(default_factory=list)
    behavior: str = "allow_incomplete"
    is_authenticated: bool = False
    facts: Thing = field(default_factory=dict)


def start(state: State, order: Order) -> tuple[Thing, CardDeclined | None]:
    """Begin, and charge the first period; the refusal comes back as a value."""
    method = order.method or state.find("payment_method", order.customer["invoice_settings"]["default_payment_method"])
    if order.behavior == "error_if_incomplete" and not order.trial_end:
        refuse_early(state, method)
    subscription = _make(state, order)
    state.tell("customer.subscription.created", subscription)
    is_trial = order.trial_end is not None
    reductions = discounts.standing(state, subscription["discounts"], state.time())
    bill = draw(
        state,
        subscription,
        lifecycle.items(subscription),
        reason="subscription_create",
        is_trial=is_trial,
        reductions=reductions,
    )
    if subscription["collection_method"] == "send_invoice":
        invoices.finalize(state, bill)
        subscription["status"] = "trialing" if is_trial else "active"
        refusal = None
    elif order.behavior == "default_incomplete" and bill["amount_due"]:
        invoices.finalize(state, bill)
        refusal = None
    else:
        refusal = collection.collect(state, bill, method, is_authenticated=order.is_authenticated)
    if is_trial and method is None and order.behavior == "default_incomplete":
        setup = setups.make(state, customer=order.customer["id"], usage="off_session")
        subscription["pending_setup_intent"] = setup["id"]
    lifecycle.schedule(state, subscription)
    return subscription, refusal


def refuse_early(state: State, method: Thing | None) -> None:
    """error_if_incomplete: raise what would happen, before anything has."""
    if method is None:
        message = "This customer has no attached payment source or default payment method."
        raise StripeError(message, code="resource_missing")
    if methods.needs_challenge(state, method):
        message = "Payment for this subscription requires additional user action before it can be completed."
        raise CardDeclined(message, code="subscription_payment_intent_requires_action")
    if methods.card_of(state, method).code:
        raise methods.decline(state, method)


def _make(state: State, order: Order) -> Thing:
    now = state.time()
    first = order.wishes[0].price
    anchor = order.trial_end or now
    subscription = billing_shapes.subscription(
        state,
        billing_cycle_anchor=anchor,
        currency=first["currency"],
        customer=order.customer["id"],
        default_payment_method=order.method["id"] if order.method else None,
        status="trialing" if order.trial_end else "incomplete",
        trial_end=order.trial_end,
        trial_start=now if order.trial_end else None,
    )
    subscription.update(order.facts)
    subscription["discounts"] = [
        discounts.redeem(state, coupon, code, subscription=subscription["id"], customer=order.customer["id"])["id"]
        for coupon, code in order.coupons
    ]
    items = [
        billing_shapes.subscription_item(
            state,
            wish.price,
            wish.quantity,
            start=now,
            end=order.trial_end or calendar.after(now, wish.price["recurring"], 1),
            owner=subscription["id"],
        )
        for wish in order.wishes
    ]
    subscription["items"] = lists.wrap(items, f"/v1/subscription_items?subscription={subscription['id']}")
    order.customer["currency"] = order.customer["currency"] or first["currency"]
    return state.add(subscription)


def draw(
    state: State,
    subscription: Thing,
    items: list[Thing],
    *,
    reason: str,
    is_trial: bool = False,
    reductions: list[Thing] | None = None,
) -> Thing:
    """The invoice of a whole period, and of all that waited for it."""
    waiting = waiting_lines(state, subscription)
    bill = invoices.draw(
        state,
        state.get("customer", subscription["customer"]),
        waiting + plans.whole_lines(state, items, is_trial=is_trial),
        reason=reason,
        currency=subscription["currency"],
        subscription=subscription,
        reductions=reductions,
        collection_method=subscription["collection_method"],
    )
    take_waiting(state, waiting, bill)
    subscription["latest_invoice"] = bill["id"]
    spent = {each["id"] for each in reductions or [] if discounts.coupon_of(state, each)["duration"] == "once"}
    if spent and not is_trial:
        subscription["discounts"] = [name for name in subscription["discounts"] if name not in spent]
    return bill


def waiting_lines(state: State, subscription: Thing) -> list[Thing]:
    """The lines of what waits for this subscription's next invoice."""
    lines = []
    for item in state.all("invoiceitem"):
        owner = ((item["parent"] or {}).get("subscription_details") or {}).get("subscription")
        if (
            item["invoice"] is None
            and item["customer"] == subscription["customer"]
            and owner in (None, subscription["id"])
        ):
            lines.append(
                billing_shapes.line(
                    amount=item["amount"],
                    description=item["description"],
                    period=(item["period"]["start"], item["period"]["end"]),
                    price=state.get("price", item["pricing"]["price_details"]["price"]),
                    quantity=item["quantity"],
                    invoice_item=item["id"],
                    is_proration=item["proration"],
                )
            )
    return lines


def take_waiting(state: State, lines: list[Thing], bill: Thing) -> None:
    for line in lines:
        item = state.get("invoiceitem", line["parent"]["invoice_item_details"]["invoice_item"])
        item["invoice"] = bill["id"]


# ---------------------------------------------------------------- the API


def trial_end_of(state: State, params: Params, wished: list[Wish]) -> int | None:
    value = params.text("trial_end")
    if value == "now":
        return None
    if value is not None:
        end = params.needed_integer("trial_end")
        if end <= state.time():
            raise errors.parameter_invalid(
                params.name("trial_end"), "Invalid timestamp: must be an integer Unix timestamp in the future."
            )
        return end
    days = params.integer("trial_period_days", least=0)
    if days is None and params.flag("trial_from_plan"):
        days = wished[0].price["recurring"]["trial_period_days"]
    return state.time() + days * lifecycle.DAY_SECONDS if days else None


def facts_of(params: Params, before: Thing | None = None) -> Thing:
    """The plain fields that a call may set, at the beginning or later."""
    facts: Thing = {"metadata": params.metadata(before["metadata"] if before else None)}
    for name in ("description", "cancel_at", "days_until_due"):
        if params.has(name):
            facts[name] = params.text(name) if name == "description" else params.integer(name)
    if params.has("cancel_at_period_end"):
        facts["cancel_at_period_end"] = params.flag("cancel_at_period_end")
    if params.has("collection_method"):
        facts["collection_method"] = params.choice("collection_method", "charge_automatically send_invoice")
    if params.has("payment_settings"):
        given = params.inside("payment_settings")
        kept = (before or {}).get("payment_settings") or {"payment_method_options": None, "payment_method_types": None}
        saves = given.choice("save_default_payment_method", "off on_subscription", "off")
        facts["payment_settings"] = {**kept, "save_default_payment_method": saves}
    if params.has("trial_settings"):
        ending = params.inside("trial_settings").inside("end_behavior")
        missing = ending.choice("missing_payment_method", "cancel create_invoice pause", "create_invoice")
        facts["trial_settings"] = {"end_behavior": {"missing_payment_method": missing}}
    if params.has("automatic_tax"):
        facts |= taxed(params.inside("automatic_tax").flag("enabled"))
    if params.has("cancellation_details"):
        facts["cancellation_details"] = reasons_of(params, before)
    return facts


def taxed(is_on: bool) -> Thing:
    liability = {"type": "self"} if is_on else None
    return {"automatic_tax": {"disabled_reason": None, "enabled": is_on, "liability": liability}}


def reasons_of(params: Params, before: Thing | None) -> Thing:
    known = (before or {}).get("cancellation_details") or {"comment": None, "feedback": None, "reason": None}
    given = params.inside("cancellation_details")
    said = {name: given.text(name) for name in ("comment", "feedback") if given.has(name)}
    return {**known, **said}


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    customer = state.named("customer", params, "customer")
    if customer is None:
        raise errors.parameter_missing("customer")
    wished = plans.wishes(state, params)
    if not wished:
        raise errors.parameter_missing("items")
    method = methods.given(state, params, "default_payment_method")
    if method and method["customer"] != customer["id"]:
        message = "The customer does not have a payment method with the ID " + method["id"] + "."
        raise errors.parameter_invalid("default_payment_method", message, "resource_missing")
    order = Order(
        customer=customer,
        wishes=wished,
        method=method,
        trial_end=trial_end_of(state, params, wished),
        coupons=discounts.asked(state, params, customer),
        behavior=params.choice("payment_behavior", BEHAVIORS, "allow_incomplete"),
        facts=facts_of(params),
    )
    subscription, _ = start(state, order)
    return subscription


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("subscription", name)


def listed(call: Call) -> Thing:
    state, params = call.state, call.params
    chosen = lists.matching(state.all("subscription"), params, "customer collection_method")
    status, price = params.text("status"), params.text("price")
    if status == "ended":
        chosen = [one for one in chosen if one["status"] in lifecycle.ENDED]
    elif status != "all":
        chosen = [one for one in chosen if (one["status"] == status if status else one["status"] != "canceled")]
    if price:
        chosen = [one for one in chosen if any(item["price"]["id"] == price for item in lifecycle.items(one))]
    return lists.page(call, chosen, "/v1/subscriptions")


def found(call: Call) -> Thing:
    return lists.search(call, call.state.all("subscription"), "/v1/subscriptions/search")


def cancel(call: Call, name: str) -> Thing:
    """Now. With prorate and invoice_now the unused time is credited, and billed at once."""
    state, params = call.state, call.params
    subscription = state.get("subscription", name)
    if subscription["status"] in lifecycle.ENDED:
        raise errors.missing("subscription", name)
    subscription["cancellation_details"] = {**reasons_of(params, subscription), "reason": "cancellation_requested"}
    if params.flag("prorate") and params.flag("invoice_now"):
        _give_back(state, subscription)
    lifecycle.end(state, subscription)
    return subscription


def _give_back(state: State, subscription: Thing) -> None:
    """The unused time goes to the customer's balance, by an invoice below zero."""
    now, customer = state.time(), state.get("customer", subscription["customer"])
    lines = plans.unused_lines(state, lifecycle.items(subscription), moment=now)
    bill = invoices.draw(
        state,
        customer,
        lines,
        reason="subscription_update",
        currency=subscription["currency"],
        subscription=subscription,
    )
    collection.collect(state, bill)


def resume(call: Call, name: str) -> Thing:
    """A subscription that was paused at its trial's end goes on, from now."""
    state = call.state
    subscription = state.get("subscription", name)
    if subscription["status"] != "paused":
        raise StripeError(f"Only paused subscriptions can be resumed; this one is {subscription['status']}.")
    now = state.time()
    for item in lifecycle.items(subscription):
        end = calendar.after(now, item["price"]["recurring"], 1)
        item.update(current_period_start=now, current_period_end=end)
    subscription["billing_cycle_anchor"] = now
    reductions = discounts.standing(state, subscription["discounts"], now)
    bill = draw(state, subscription, lifecycle.items(subscription), reason="subscription_cycle", reductions=reductions)
    refusal = collection.collect(state, bill)
    if bill["status"] == "paid":
        lifecycle.change(state, subscription, status="active")
        state.tell("customer.subscription.resumed", subscription)
    if refusal:
        raise refusal
    return subscription


ROUTES: Routes = [
    ("POST", "/v1/subscriptions", create),
    ("GET", "/v1/subscriptions", listed),
    ("GET", "/v1/subscriptions/search", found),
    ("GET", "/v1/subscriptions/{name}", retrieve),
    ("DELETE", "/v1/subscriptions/{name}", cancel),
    ("POST", "/v1/subscriptions/{name}/resume", resume),
]
