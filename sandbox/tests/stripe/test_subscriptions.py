"""Subscriptions: begun, renewed by the clock, changed, failed, ended."""

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from sandbox.testing import Sandbox

DAY = 86_400
HOUR = 3_600
MONTH = 31 * DAY  # the tests begin in March
# Ahead of any day on which this runs, since the sandbox's clock only goes forward; no leap year follows.
BEGIN = datetime(2034, 3, 6, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def begun_in_march(sandbox: Sandbox) -> None:
    """How long a month or a year is must not depend on the day of the run."""
    sandbox.advance((BEGIN - datetime.now(UTC)).total_seconds())


def item_of(subscription: Any) -> Any:
    return subscription["items"].data[0]


def subscribe(client: Any, customer: Any, price: Any, **more: Any) -> Any:
    return client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}], **more})


def bills(client: Any, subscription: Any) -> list[tuple[str | None, str | None, int]]:
    found = client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    return [(bill.billing_reason, bill.status, bill.total) for bill in reversed(found)]


def failing(client: Any, email: str = "poor@sandbox.example") -> Any:
    """A customer whose card is saved, and fails whenever it is charged."""
    customer = client.v1.customers.create({"email": email})
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    return client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


def test_a_first_period_is_billed_and_paid_at_once(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly, metadata={"plan": "small"}, expand=["latest_invoice.payments"])

    sandbox.letters("stripe")
    bill = subscription.latest_invoice
    assert (subscription.status, bill.status, bill.amount_paid) == ("active", "paid", 2_000)
    assert bill.parent.subscription_details.metadata["plan"] == "small"
    assert bill.payments.data[0].status == "paid"
    told = mailbox.types()
    for happened in ("customer.subscription.created", "invoice.created", "invoice.finalized", "charge.succeeded"):
        assert told.count(happened) == 1
    assert told.index("payment_intent.succeeded") < told.index("invoice.paid")
    assert told[-1] == "customer.subscription.updated"


def test_a_month_later_it_renews_by_a_draft_that_is_charged_an_hour_later(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    end = item_of(subscription).current_period_end
    sandbox.advance(end - client.v1.events.list({"limit": 1}).data[0].created + 60)
    draft = bills(client, subscription)

    sandbox.advance(HOUR)

    later = client.v1.subscriptions.retrieve(subscription.id)
    sandbox.letters("stripe")
    assert draft[1:] == [("subscription_cycle", "draft", 2_000)]
    assert bills(client, subscription)[1:] == [("subscription_cycle", "paid", 2_000)]
    assert item_of(later).current_period_start == end
    assert [happened for happened in mailbox.types() if happened == "invoice.upcoming"] == ["invoice.upcoming"]


def test_a_year_passes_at_once_month_by_month_without_drifting(client, sandbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)

    sandbox.advance(365 * DAY + 2 * HOUR)

    later = client.v1.subscriptions.retrieve(subscription.id)
    assert (
        bills(client, subscription)
        == [("subscription_create", "paid", 2_000)] + [("subscription_cycle", "paid", 2_000)] * 12
    )
    assert item_of(later).current_period_start == subscription.billing_cycle_anchor + 365 * DAY


def test_a_declined_first_payment_leaves_it_incomplete_and_it_expires(client, sandbox, mailbox, monthly):
    subscription = subscribe(client, failing(client), monthly)
    assert subscription.status == "incomplete"

    sandbox.advance(23 * HOUR + 60)

    sandbox.letters("stripe")
    assert client.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert bills(client, subscription) == [("subscription_create", "void", 2_000)]
    assert "invoice.payment_failed" in mailbox.types()


def test_default_incomplete_waits_for_the_buyer_to_confirm(client, sandbox, customer, monthly):
    wanted = ["latest_invoice.confirmation_secret"]
    subscription = subscribe(client, customer, monthly, payment_behavior="default_incomplete", expand=wanted)
    assert subscription.status == "incomplete"

    secret = subscription.latest_invoice.confirmation_secret.client_secret
    sandbox.play({"type": "client_secret", "client_secret": secret})

    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_a_renewal_that_fails_is_retried_until_it_is_given_up(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    poor = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": poor.id}})
    sandbox.advance(MONTH + 2 * HOUR)
    bill = client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
    assert (bill.status, bill.attempt_count) == ("open", 1)
    assert bill.next_payment_attempt > bill.created

    sandbox.advance(15 * DAY)

    ended = client.v1.subscriptions.retrieve(subscription.id)
    bill = client.v1.invoices.retrieve(bill.id)
    sandbox.letters("stripe")
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    assert (bill.status, bill.attempt_count, bill.next_payment_attempt) == ("open", 4, None)
    assert mailbox.types().count("invoice.payment_failed") == 4
    assert mailbox.types()[-1] == "customer.subscription.deleted"


@pytest.mark.parametrize("ending", ["unpaid", "past_due"])
def test_what_follows_the_last_retry_is_the_merchants_setting(client, sandbox, payer, monthly, ending):
    sandbox.configure("stripe", after_retries=ending)
    subscription = subscribe(client, payer, monthly)
    poor = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": poor.id}})

    sandbox.advance(MONTH + 16 * DAY)

    assert client.v1.subscriptions.retrieve(subscription.id).status == ending


def test_a_new_card_heals_a_past_due_subscription_at_the_next_retry(client, sandbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    good = payer.invoice_settings.default_payment_method
    poor = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": poor.id}})
    sandbox.advance(MONTH + 2 * HOUR)
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": good}})

    sandbox.advance(3 * DAY)

    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert bills(client, subscription)[-1] == ("subscription_cycle", "paid", 2_000)


def test_a_renewal_that_wants_its_owner_is_confirmed_on_the_invoices_page(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    asks = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": asks.id}})
    sandbox.advance(MONTH + 2 * HOUR)
    bill = client.v1.invoices.list({"subscription": subscription.id}).data[0]
    assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"

    sandbox.play({"type": "redirect", "url": bill.hosted_invoice_url})

    sandbox.letters("stripe")
    assert "invoice.payment_action_required" in mailbox.types()
    assert client.v1.invoices.retrieve(bill.id).status == "paid"
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"


# ---------------------------------------------------------------- trials


def test_a_trial_bills_nothing_warns_and_then_bills(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly, trial_period_days=14)
    assert (subscription.status, bills(client, subscription)) == ("trialing", [("subscription_create", "paid", 0)])

    sandbox.advance(14 * DAY + 2 * HOUR)

    sandbox.letters("stripe")
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert bills(client, subscription)[-1] == ("subscription_cycle", "paid", 2_000)
    assert mailbox.types().count("customer.subscription.trial_will_end") == 1


@pytest.mark.parametrize(
    ("behavior", "status", "told"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
def test_a_trial_without_a_card_ends_as_it_was_told_to(  # noqa: PLR0917 - what a table tells
    client, sandbox, mailbox, monthly, behavior, status, told
):
    customer = client.v1.customers.create({"email": "cardless@sandbox.example"})
    ending = {"end_behavior": {"missing_payment_method": behavior}}
    subscription = subscribe(client, customer, monthly, trial_period_days=7, trial_settings=ending)

    sandbox.advance(7 * DAY + 2 * HOUR)

    sandbox.letters("stripe")
    assert client.v1.subscriptions.retrieve(subscription.id).status == status
    assert told in mailbox.types()


def test_a_paused_subscription_is_resumed(client, sandbox, mailbox, customer, monthly):
    ending = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = subscribe(client, customer, monthly, trial_period_days=7, trial_settings=ending)
    sandbox.advance(7 * DAY + 60)
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})

    resumed = client.v1.subscriptions.resume(subscription.id)

    sandbox.letters("stripe")
    assert resumed.status == "active"
    assert mailbox.types()[-1] == "customer.subscription.resumed"


# ---------------------------------------------------------------- ending


def test_at_the_end_of_the_period_it_ends_unless_it_is_kept(client, sandbox, payer, monthly):
    kept, ended = subscribe(client, payer, monthly), subscribe(client, payer, monthly)
    for each in (kept, ended):
        asked = client.v1.subscriptions.update(each.id, {"cancel_at_period_end": True})
        assert (asked.status, asked.cancel_at) == ("active", item_of(each).current_period_end)
    client.v1.subscriptions.update(kept.id, {"cancel_at_period_end": False})

    sandbox.advance(MONTH + 2 * HOUR)

    assert client.v1.subscriptions.retrieve(kept.id).status == "active"
    assert client.v1.subscriptions.retrieve(ended.id).status == "canceled"
    assert bills(client, ended) == [("subscription_create", "paid", 2_000)]


def test_a_date_of_its_own_outlives_the_flag(client, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    ends = item_of(subscription).current_period_end
    client.v1.subscriptions.update(subscription.id, {"cancel_at": ends})

    flagged = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        client.v1.subscriptions.update(subscription.id, {"cancel_at": "", "cancel_at_period_end": False})
    cleared = client.v1.subscriptions.update(subscription.id, {"cancel_at": ""})

    assert [each.cancel_at for each in (flagged, cleared)] == [ends, None]
    assert (cleared.canceled_at, cleared.cancellation_details.reason) == (None, None)


def test_it_ends_now(client, sandbox, mailbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)

    ended = client.v1.subscriptions.cancel(subscription.id)

    sandbox.letters("stripe")
    assert (ended.status, ended.ended_at is not None) == ("canceled", True)
    assert mailbox.types()[-1] == "customer.subscription.deleted"
    assert client.v1.subscriptions.list({"customer": payer.id}).data == []


def test_ended_with_proration_the_unused_time_is_the_customers_credit(client, sandbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)

    client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})

    balance = client.v1.customers.retrieve(payer.id).balance
    assert -2_000 <= balance <= -1_999  # nothing but a second or two was used


def test_a_paused_collection_voids_what_it_would_have_charged(client, sandbox, payer, monthly):
    subscription = subscribe(client, payer, monthly)
    client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": "void"}})

    sandbox.advance(MONTH + 2 * HOUR)

    assert bills(client, subscription)[1:] == [("subscription_cycle", "void", 2_000)]
    assert client.v1.subscriptions.update(subscription.id, {"pause_collection": ""}).pause_collection is None


# ---------------------------------------------------------------- changing


def halfway(sandbox: Any, subscription: Any) -> int:
    """Move to the middle of the period, and name that moment."""
    item = item_of(subscription)
    length = item.current_period_end - item.current_period_start
    sandbox.advance(length // 2 + 60)
    return int(item.current_period_start + length // 2)


def test_an_upgrade_costs_what_its_preview_said(client, sandbox, payer, monthly, monthly_big):
    subscription = subscribe(client, payer, monthly)
    moment = halfway(sandbox, subscription)
    change = {
        "items": [{"id": item_of(subscription).id, "price": monthly_big.id}],
        "proration_behavior": "always_invoice",
        "proration_date": moment,
    }
    preview = client.v1.invoices.create_preview(
        {"customer": payer.id, "subscription": subscription.id, "subscription_details": change}
    )
    assert bills(client, subscription) == [("subscription_create", "paid", 2_000)]

    upgraded = client.v1.subscriptions.update(subscription.id, {**change, "expand": ["latest_invoice"]})

    assert [line.amount for line in preview.lines.data] == [-1_000, 2_500]
    bill = upgraded.latest_invoice
    assert (preview.total, bill.total, bill.status, bill.billing_reason) == (
        1_500,
        1_500,
        "paid",
        "subscription_update",
    )
    assert item_of(upgraded).price.id == monthly_big.id
    assert item_of(upgraded).current_period_end == item_of(subscription).current_period_end


def test_by_default_prorations_wait_for_the_next_invoice(client, sandbox, payer, monthly, monthly_big):
    subscription = subscribe(client, payer, monthly)
    moment = halfway(sandbox, subscription)
    item = {"id": item_of(subscription).id, "price": monthly_big.id}

    client.v1.subscriptions.update(subscription.id, {"items": [item], "proration_date": moment})
    preview = client.v1.invoices.create_preview({"customer": payer.id, "subscription": subscription.id})
    sandbox.advance(MONTH // 2 + 2 * HOUR)

    assert preview.total == 1_500 + 5_000
    assert bills(client, subscription)[1:] == [("subscription_cycle", "paid", 6_500)]


def test_without_proration_only_the_next_period_costs_more(client, sandbox, payer, monthly, monthly_big):
    subscription = subscribe(client, payer, monthly)
    item = {"id": item_of(subscription).id, "price": monthly_big.id}

    client.v1.subscriptions.update(subscription.id, {"items": [item], "proration_behavior": "none"})
    sandbox.advance(MONTH + 2 * HOUR)

    assert bills(client, subscription)[1:] == [("subscription_cycle", "paid", 5_000)]


def test_a_change_that_is_not_paid_does_not_happen(  # noqa: PLR0917 - fixtures
    client, sandbox, mailbox, payer, monthly, monthly_big
):
    subscription = subscribe(client, payer, monthly)
    halfway(sandbox, subscription)
    poor = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": poor.id}})

    pending = client.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item_of(subscription).id, "price": monthly_big.id}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete",
        },
    )

    assert (pending.status, pending.pending_update is not None) == ("active", True)
    assert item_of(pending).price.id == monthly.id
    sandbox.advance(23 * HOUR + 60)
    dropped = client.v1.subscriptions.retrieve(subscription.id)
    sandbox.letters("stripe")
    assert (dropped.pending_update, item_of(dropped).price.id) == (None, monthly.id)
    assert bills(client, subscription)[-1][:2] == ("subscription_update", "void")
    assert "customer.subscription.pending_update_expired" in mailbox.types()


def test_a_pending_change_happens_when_it_is_paid_after_all(client, sandbox, payer, monthly, monthly_big):
    subscription = subscribe(client, payer, monthly)
    asks = client.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": asks.id}})
    pending = client.v1.subscriptions.update(
        subscription.id,
        {
            "items": [{"id": item_of(subscription).id, "price": monthly_big.id}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete",
            "expand": ["latest_invoice"],
        },
    )

    sandbox.play({"type": "redirect", "url": pending.latest_invoice.hosted_invoice_url})

    changed = client.v1.subscriptions.retrieve(subscription.id)
    assert (changed.pending_update, item_of(changed).price.id) == (None, monthly_big.id)


def test_error_if_incomplete_refuses_and_changes_nothing(client, payer, monthly, monthly_big):
    subscription = subscribe(client, payer, monthly)
    poor = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": payer.id})
    client.v1.customers.update(payer.id, {"invoice_settings": {"default_payment_method": poor.id}})

    with pytest.raises(stripe.CardError):
        client.v1.subscriptions.update(
            subscription.id,
            {
                "items": [{"id": item_of(subscription).id, "price": monthly_big.id}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
            },
        )

    assert item_of(client.v1.subscriptions.retrieve(subscription.id)).price.id == monthly.id
    assert bills(client, subscription) == [("subscription_create", "paid", 2_000)]


def test_from_monthly_to_yearly_a_new_period_begins_and_is_billed(client, payer, monthly):
    wanted = {"currency": "eur", "unit_amount": 20_000, "recurring": {"interval": "year"}, "product": monthly.product}
    yearly = client.v1.prices.create(wanted)
    subscription = subscribe(client, payer, monthly)

    item = {"id": item_of(subscription).id, "price": yearly.id}
    changed = client.v1.subscriptions.update(subscription.id, {"items": [item], "proration_behavior": "none"})

    assert bills(client, subscription)[1:] == [("subscription_update", "paid", 20_000)]
    assert item_of(changed).current_period_start == changed.billing_cycle_anchor


# ---------------------------------------------------------------- coupons


@pytest.mark.parametrize(
    ("coupon", "first", "second"),
    [
        ({"percent_off": 25.5, "duration": "once"}, 1_490, 2_000),
        ({"percent_off": 50, "duration": "forever"}, 1_000, 1_000),
        ({"amount_off": 300, "currency": "eur", "duration": "repeating", "duration_in_months": 2}, 1_700, 1_700),
    ],
)
def test_a_coupon_takes_off_what_it_promises(  # noqa: PLR0917 - what a table tells
    client, sandbox, payer, monthly, coupon, first, second
):
    made = client.v1.coupons.create(coupon)

    subscription = subscribe(client, payer, monthly, discounts=[{"coupon": made.id}])
    sandbox.advance(MONTH + 2 * HOUR)

    assert [total for _, _, total in bills(client, subscription)] == [first, second]


def test_a_used_up_coupon_is_refused(client, payer, monthly):
    made = client.v1.coupons.create({"percent_off": 10, "duration": "once", "max_redemptions": 1})
    subscribe(client, payer, monthly, discounts=[{"coupon": made.id}])

    with pytest.raises(stripe.InvalidRequestError) as refused:
        subscribe(client, payer, monthly, discounts=[{"coupon": made.id}])

    assert refused.value.code == "coupon_expired"
    assert len(client.v1.subscriptions.list({"customer": payer.id}).data) == 1


# ---------------------------------------------------------------- by Checkout


@pytest.mark.parametrize("act", ["pay", "challenge"])
def test_a_subscription_is_bought_at_checkout(  # noqa: PLR0917 - fixtures
    client, sandbox, mailbox, customer, monthly, act
):
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": monthly.id, "quantity": 1}],
            "subscription_data": {"metadata": {"plan": "small"}},
        }
    )

    sandbox.play({"type": "redirect", "url": session.url}, act)

    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription", "invoice"]})
    sandbox.letters("stripe")
    assert (done.status, done.payment_status, done.invoice.status) == ("complete", "paid", "paid")
    assert (done.subscription.status, done.subscription.metadata["plan"]) == ("active", "small")
    assert mailbox.types()[-1] == "checkout.session.completed"
    sandbox.advance(MONTH + 2 * HOUR)
    assert bills(client, done.subscription)[1:] == [("subscription_cycle", "paid", 2_000)]


def test_a_declined_buyer_leaves_no_half_subscription(client, sandbox, customer, monthly):
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": monthly.id, "quantity": 1}],
        }
    )

    assert sandbox.play({"type": "redirect", "url": session.url}, "decline")["state"] == "declined"

    assert client.v1.subscriptions.list({"customer": customer.id}).data == []
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"


def test_a_trial_at_checkout_costs_nothing_today(client, sandbox, customer, monthly):
    session = client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer.id,
            "success_url": "http://127.0.0.1/",
            "line_items": [{"price": monthly.id, "quantity": 1}],
            "subscription_data": {"trial_period_days": 30},
        }
    )
    assert session.amount_total == 0

    sandbox.play({"type": "redirect", "url": session.url})

    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription"]})
    assert (done.payment_status, done.subscription.status) == ("no_payment_required", "trialing")
