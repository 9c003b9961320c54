"""Changing a subscription in the middle of its period, and seeing beforehand what that would cost."""

from sandbox.stripe import (
    billing_shapes,
    calendar,
    collection,
    discounts,
    errors,
    invoices,
    lifecycle,
    methods,
    plans,
    subscriptions,
)
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.plans import Change
from sandbox.stripe.state import Call, Routes, State, Thing

PRORATIONS = "create_prorations always_invoice none"
PENDING_SECONDS = 23 * 3_600
# What pending_if_incomplete does not allow beside the items, as Stripe's documentation lists.
NOT_WITH_PENDING = "metadata description cancel_at cancel_at_period_end default_payment_method pause_collection"


def update(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    subscription = state.get("subscription", name)
    if subscription["status"] in lifecycle.ENDED:
        raise StripeError(
            "A canceled subscription can only update its cancellation_details and metadata.", code="resource_missing"
        )
    behavior = params.choice("payment_behavior", subscriptions.BEHAVIORS, "allow_incomplete")
    if behavior == "pending_if_incomplete" and any(params.has(each) for each in NOT_WITH_PENDING.split()):
        raise StripeError("When `payment_behavior` is `pending_if_incomplete` only what is billed can be changed.")
    changes = _plain_changes(state, params, subscription)
    refusal = None
    if params.has("items") or params.text("billing_cycle_anchor") == "now" or params.text("trial_end") == "now":
        refusal = _change_items(state, params, subscription, changes, behavior)
    elif changes:
        lifecycle.change(state, subscription, **changes)
    if refusal and behavior == "error_if_incomplete":
        raise refusal
    return subscription


def _plain_changes(state: State, params: Params, subscription: Thing) -> Thing:
    changes = subscriptions.facts_of(params, subscription)
    if not params.has("metadata"):
        changes.pop("metadata")
    changes |= _announced_end(state, params, subscription, changes)
    if params.has("pause_collection"):
        changes["pause_collection"] = _pause(params)
    if params.has("default_payment_method"):
        method = methods.given(state, params, "default_payment_method")
        changes["default_payment_method"] = method["id"] if method else None
    if params.has("discounts"):
        customer = state.get("customer", subscription["customer"])
        owner = {"subscription": subscription["id"], "customer": customer["id"]}
        asked = discounts.asked(state, params, customer)
        changes["discounts"] = [discounts.redeem(state, coupon, code, **owner)["id"] for coupon, code in asked]
    if params.integer_or_none("trial_end"):
        changes |= _longer_trial(state, params, subscription)
    return changes


def _announced_end(state: State, params: Params, subscription: Thing, changes: Thing) -> Thing:
    """By the flag, which writes its date, or by a date of its own, which the flag does not take back."""
    if params.has("cancel_at_period_end") and params.has("cancel_at"):
        raise StripeError("You may only specify one of these parameters: cancel_at, cancel_at_period_end.")
    ends: int | None
    if params.has("cancel_at"):
        ends, is_flagged = changes["cancel_at"], False
    elif params.flag("cancel_at_period_end"):
        ends, is_flagged = lifecycle.period_end(subscription), True
    elif subscription["cancel_at_period_end"]:
        ends, is_flagged = None, False
    else:
        return {}
    said: Thing = changes.get("cancellation_details") or subscription["cancellation_details"]
    return {
        "cancel_at": ends,
        "cancel_at_period_end": is_flagged,
        "canceled_at": state.time() if ends else None,
        "cancellation_details": {**said, "reason": "cancellation_requested" if ends else None},
    }


def _pause(params: Params) -> Thing | None:
    if not params.is_given("pause_collection"):
        return None
    wish = params.inside("pause_collection")
    behavior = wish.choice("behavior", "keep_as_draft mark_uncollectible void")
    if not behavior:
        raise errors.parameter_missing("pause_collection[behavior]")
    return {"behavior": behavior, "resumes_at": wish.integer("resumes_at")}


def _longer_trial(state: State, params: Params, subscription: Thing) -> Thing:
    end = params.needed_integer("trial_end")
    if end <= state.time():
        raise errors.parameter_invalid(
            "trial_end", "Invalid timestamp: must be an integer Unix timestamp in the future."
        )
    for item in lifecycle.items(subscription):
        item["current_period_end"] = end
    return {"trial_end": end, "billing_cycle_anchor": end, "status": "trialing", "trial_start": state.time()}


def _planned(state: State, params: Params, subscription: Thing) -> tuple[Change, str]:
    wanted = plans.wishes(state, params, lifecycle.items(subscription))
    behavior = params.choice("proration_behavior", PRORATIONS, "create_prorations")
    moment = params.integer("proration_date") or state.time()
    first = lifecycle.items(subscription)[0]
    if not first["current_period_start"] <= moment <= first["current_period_end"]:
        raise errors.parameter_invalid(
            "proration_date", "Cannot specify `proration_date` outside of the current period."
        )
    resets = params.text("billing_cycle_anchor") == "now" or (
        params.text("trial_end") == "now" and subscription["status"] == "trialing"
    )
    prorates = behavior != "none"
    return plans.plan(state, subscription, wanted, moment=moment, prorates=prorates, resets=resets), behavior


def _change_items(
    state: State, params: Params, subscription: Thing, changes: Thing, behavior: str
) -> CardDeclined | None:
    change, prorations = _planned(state, params, subscription)
    bills_now = change.starts_anew or (prorations == "always_invoice" and bool(change.lines))
    if behavior == "error_if_incomplete" and bills_now:
        subscriptions.refuse_early(state, collection.method_for(state, subscription, None))
    if bills_now and behavior == "pending_if_incomplete" and subscription["status"] == "active":
        return _change_when_paid(state, subscription, change)
    _apply(subscription, change, changes)
    if not bills_now:
        for line in change.lines:
            state.add(billing_shapes.invoice_item(state, subscription["customer"], line, subscription))
        _tell(state, subscription)
        return None
    bill = _draw(state, subscription, change)
    subscription["latest_invoice"] = bill["id"]
    _tell(state, subscription)
    return collection.collect(state, bill)


def _apply(subscription: Thing, change: Change, changes: Thing) -> None:
    subscription.update(changes)
    subscription["items"] = {**subscription["items"], "data": change.items}
    if change.starts_anew:
        subscription["billing_cycle_anchor"] = change.moment
        if subscription["status"] == "trialing":
            subscription.update(status="active", trial_end=change.moment)


def _tell(state: State, subscription: Thing) -> None:
    state.tell("customer.subscription.updated", subscription, {"items": {}})
    lifecycle.schedule(state, subscription)


def _draw(state: State, subscription: Thing, change: Change, *, is_preview: bool = False) -> Thing:
    """The invoice of a change that is billed at once."""
    lines = list(change.lines)
    if change.starts_anew:
        waiting = subscriptions.waiting_lines(state, subscription)
        lines = waiting + lines + plans.whole_lines(state, change.items)
    reductions = discounts.standing(state, subscription["discounts"], state.time())
    bill = invoices.draw(
        state,
        state.get("customer", subscription["customer"]),
        lines,
        reason="subscription_update",
        currency=subscription["currency"],
        subscription=subscription,
        reductions=reductions,
        is_preview=is_preview,
    )
    if change.starts_anew and not is_preview:
        subscriptions.take_waiting(state, waiting, bill)
    return bill


def _change_when_paid(state: State, subscription: Thing, change: Change) -> CardDeclined | None:
    """pending_if_incomplete: the items change when their invoice is paid, within 23 hours."""
    bill = _draw(state, subscription, change)
    state.private(subscription).update(
        pending_items=change.items,
        pending_invoice=bill["id"],
        pending_anchor=change.moment if change.starts_anew else None,
    )
    subscription["pending_update"] = {
        "billing_cycle_anchor": change.moment if change.starts_anew else None,
        "expires_at": state.time() + PENDING_SECONDS,
        "subscription_items": change.items,
        "trial_end": None,
        "trial_from_plan": None,
    }
    subscription["latest_invoice"] = bill["id"]
    refusal = collection.collect(state, bill)
    if subscription["pending_update"]:
        _tell(state, subscription)
    return refusal


# ---------------------------------------------------------------- seeing it beforehand


def preview(call: Call) -> Thing:
    state, params = call.state, call.params
    subscription = state.named("subscription", params, "subscription")
    details = params.inside("subscription_details")
    if subscription is None:
        return _preview_of_new(state, params, details)
    if details.flag("cancel_now"):
        now = state.time()
        lines = plans.unused_lines(state, lifecycle.items(subscription), moment=now)
        return _draw(state, subscription, Change(items=[], lines=lines, moment=now), is_preview=True)
    if details.has("items") or details.text("billing_cycle_anchor") == "now":
        change, prorations = _planned(state, details, subscription)
        if change.starts_anew or prorations == "always_invoice":
            return _draw(state, subscription, change, is_preview=True)
    else:
        change = Change(items=lifecycle.items(subscription), moment=state.time())
    return upcoming(state, subscription, change)


def upcoming(state: State, subscription: Thing, change: Change) -> Thing:
    """The next renewal's invoice, as it would be drawn today."""
    later = plans.next_period(subscription, change.items)
    moment = later[0]["current_period_start"]
    lines = subscriptions.waiting_lines(state, subscription) + change.lines + plans.whole_lines(state, later)
    return invoices.draw(
        state,
        state.get("customer", subscription["customer"]),
        lines,
        reason="upcoming",
        currency=subscription["currency"],
        subscription=subscription,
        reductions=discounts.standing(state, subscription["discounts"], moment),
        is_preview=True,
        next_payment_attempt=moment + lifecycle.HOUR_SECONDS,
        period_start=lifecycle.items(subscription)[0]["current_period_start"],
        period_end=moment,
    )


def _preview_of_new(state: State, params: Params, details: Params) -> Thing:
    customer = state.named("customer", params, "customer")
    if customer is None:
        raise errors.parameter_missing("customer")
    wanted = plans.wishes(state, details)
    if not wanted:
        raise errors.parameter_missing("subscription_details[items]")
    now = state.time()
    items = [
        billing_shapes.subscription_item(
            state, wish.price, wish.quantity, start=now, end=calendar.after(now, wish.price["recurring"], 1), owner=""
        )
        for wish in wanted
    ]
    reductions = [discounts.unredeemed(state, coupon) for coupon, _ in discounts.asked(state, params, customer)]
    return invoices.draw(
        state,
        customer,
        plans.whole_lines(state, items),
        reason="subscription_create",
        currency=wanted[0].price["currency"],
        reductions=reductions,
        is_preview=True,
    )


ROUTES: Routes = [
    ("POST", "/v1/subscriptions/{name}", update),
    ("POST", "/v1/invoices/create_preview", preview),
]
