"""What a subscription is, when it is next to be looked at, and how it ends."""

from typing import Any

from sandbox.stripe.state import State, Thing

HOUR_SECONDS = 3_600
DAY_SECONDS = 86_400
INCOMPLETE_SECONDS = 23 * HOUR_SECONDS
TRIAL_WARNING_SECONDS = 3 * DAY_SECONDS
UPCOMING_SECONDS = 7 * DAY_SECONDS
ENDED = ("canceled", "incomplete_expired")
RENEWS = ("active", "past_due", "unpaid", "trialing")


def items(subscription: Thing) -> list[Thing]:
    found: list[Thing] = subscription["items"]["data"]
    return found


def period_end(subscription: Thing) -> int:
    return int(min(item["current_period_end"] for item in items(subscription)))


def ends_with_period(subscription: Thing) -> bool:
    ends = subscription["cancel_at"]
    return bool(subscription["cancel_at_period_end"]) or (ends is not None and ends <= period_end(subscription))


def change(state: State, subscription: Thing, **changes: Any) -> None:
    """Change it, tell so, and see when it is due next."""
    state.change(subscription, "customer.subscription.updated", **changes)
    schedule(state, subscription)


def schedule(state: State, subscription: Thing) -> None:
    state.wake_at(subscription, min(_moments(state, subscription), default=None))


def _moments(state: State, subscription: Thing) -> list[int]:
    """All the times at which something happens to it by itself."""
    status = subscription["status"]
    if status in ENDED:
        return []
    moments: list[int] = []
    if subscription["cancel_at"]:
        moments.append(subscription["cancel_at"])
    if subscription["pending_update"]:
        moments.append(subscription["pending_update"]["expires_at"])
    if resumes_at := (subscription["pause_collection"] or {}).get("resumes_at"):
        moments.append(resumes_at)
    if status == "incomplete":
        moments.append(subscription["created"] + INCOMPLETE_SECONDS)
    if status in RENEWS:
        end = period_end(subscription)
        told = state.private(subscription).get("told_of", 0)
        warning = TRIAL_WARNING_SECONDS if status == "trialing" else UPCOMING_SECONDS
        if told < end and not ends_with_period(subscription):
            moments.append(max(end - warning, items(subscription)[0]["current_period_start"]))
        moments.append(end)
    return moments


def end(state: State, subscription: Thing, *, reason: str | None = None) -> None:
    """It is over, now. What its customer paid for is not given back by this."""
    now = state.time()
    details = {
        **subscription["cancellation_details"],
        "reason": reason or subscription["cancellation_details"]["reason"],
    }
    for waiting in list(state.all("invoiceitem")):
        owner = ((waiting["parent"] or {}).get("subscription_details") or {}).get("subscription")
        if owner == subscription["id"] and waiting["invoice"] is None:
            del state.table("invoiceitem")[waiting["id"]]
    subscription.update(
        status="canceled",
        canceled_at=subscription["canceled_at"] or now,
        cancellation_details=details,
        ended_at=now,
        pending_update=None,
    )
    schedule(state, subscription)
    state.tell("customer.subscription.deleted", subscription)


def live_of(state: State, customer: str) -> list[Thing]:
    return [one for one in state.all("subscription") if one["customer"] == customer and one["status"] not in ENDED]
