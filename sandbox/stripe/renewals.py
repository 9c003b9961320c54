"""What time does to a subscription: trials end, periods are renewed, what was to be cancelled is."""

from sandbox.stripe import changing, collection, discounts, invoices, lifecycle, plans, subscriptions
from sandbox.stripe.plans import Change
from sandbox.stripe.state import State, Thing


def wake(state: State, subscription: Thing) -> None:
    """Do the one thing that is due first; it is woken again for the next."""
    now = state.time()
    pause = subscription["pause_collection"] or {}
    pending = subscription["pending_update"] or {}
    if subscription["status"] == "incomplete":
        _expire_if_unpaid(state, subscription, now)
    elif pending and pending["expires_at"] <= now:
        collection.drop_pending(state, subscription)
    elif pause.get("resumes_at") and pause["resumes_at"] <= now:
        lifecycle.change(state, subscription, pause_collection=None)
    elif subscription["cancel_at"] and subscription["cancel_at"] <= now:
        lifecycle.end(state, subscription)
    elif lifecycle.period_end(subscription) > now:
        if state.private(subscription).get("told_of", 0) < lifecycle.period_end(subscription):
            _warn(state, subscription)
    elif subscription["cancel_at_period_end"]:
        lifecycle.end(state, subscription)
    elif subscription["status"] == "trialing" and not _goes_on(state, subscription):
        return
    else:
        _renew(state, subscription)
    lifecycle.schedule(state, subscription)


def _expire_if_unpaid(state: State, subscription: Thing, now: int) -> None:
    """23 hours for the first payment, then it never was."""
    if subscription["created"] + lifecycle.INCOMPLETE_SECONDS > now:
        return
    bill = state.find("invoice", subscription["latest_invoice"])
    if bill and bill["status"] == "open":
        invoices.void(state, bill)
    lifecycle.change(state, subscription, status="incomplete_expired", ended_at=now)


def _warn(state: State, subscription: Thing) -> None:
    """Three days before a trial ends, a week before a renewal."""
    state.private(subscription)["told_of"] = lifecycle.period_end(subscription)
    if subscription["status"] == "trialing":
        state.tell("customer.subscription.trial_will_end", subscription)
    else:
        items = lifecycle.items(subscription)
        state.tell("invoice.upcoming", changing.upcoming(state, subscription, Change(items=items, moment=state.time())))


def _goes_on(state: State, subscription: Thing) -> bool:
    """A trial is over: without a card, what the subscription says about that happens."""
    if collection.method_for(state, subscription, None):
        return True
    missing = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if missing == "cancel":
        lifecycle.end(state, subscription)
    elif missing == "pause":
        lifecycle.change(state, subscription, status="paused")
        state.tell("customer.subscription.paused", subscription)
    return bool(missing == "create_invoice")


def _renew(state: State, subscription: Thing) -> None:
    """A period later. The invoice stays a draft for an hour, then it is charged."""
    items = plans.next_period(subscription, lifecycle.items(subscription))
    changes: Thing = {"items": {**subscription["items"], "data": items}}
    if subscription["status"] == "trialing":
        changes["status"] = "active"
    reductions = discounts.standing(state, subscription["discounts"], state.time())
    subscription.update(changes)
    bill = subscriptions.draw(state, subscription, items, reason="subscription_cycle", reductions=reductions)
    state.tell("customer.subscription.updated", subscription, {"items": {}, "latest_invoice": None})
    pause = (subscription["pause_collection"] or {}).get("behavior")
    if pause == "keep_as_draft" or subscription["status"] == "unpaid":
        bill["auto_advance"] = False
    elif pause:
        invoices.finalize(state, bill)
        (invoices.void if pause == "void" else invoices.write_off)(state, bill)
    else:
        bill["automatically_finalizes_at"] = state.time() + lifecycle.HOUR_SECONDS
        state.wake_at(bill, bill["automatically_finalizes_at"])
