"""The catalogue, the portal, connected accounts and payouts, events and their letters."""

import json
from typing import Any

import pytest
import stripe

from sandbox import stripe_schema
from sandbox.testing import Refused
from sandbox.tests.stripe.conftest import SECRET, Checked
from sandbox.tests.stripe.test_checkout import visit

DAY = 86_400


UNCHECKED = "NOT CHECKED: the schema of Stripe's objects needs ../shared/tools"


@pytest.mark.skipif(stripe_schema.folder_of_tools() is None, reason=UNCHECKED)
def test_every_event_and_what_it_holds_is_as_the_sdks_schema_says(client, sandbox, http: Checked, payer, monthly):
    subscription = client.v1.subscriptions.create({"customer": payer.id, "items": [{"price": monthly.id}]})
    intent = client.v1.payment_intents.create(
        {"amount": 900, "currency": "eur", "payment_method": "pm_card_createDispute", "confirm": True}
    )
    client.v1.payouts.create({"amount": 100, "currency": "eur"})
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    sandbox.advance(27 * DAY)

    events = list(client.v1.events.list({"limit": 100}).auto_paging_iter())

    problems = [(event.type, wrong) for event in events for wrong in http.schema.check_object(json.loads(str(event)))]
    problems += [
        (event.type, wrong)
        for event in events
        for wrong in http.schema.check_object(json.loads(str(event.data.object)))
    ]
    assert problems == []
    assert {"charge.dispute.created", "invoice.paid", "payout.paid"} <= {event.type for event in events}
    assert intent.status == "succeeded"


@pytest.mark.skipif(stripe_schema.folder_of_tools() is None, reason=UNCHECKED)
def test_the_schema_would_notice_a_missing_field(client, http: Checked, customer):
    body = json.loads(str(client.v1.customers.retrieve(customer.id)))
    del body["livemode"]

    assert http.schema.check_object(body) != []


# ---------------------------------------------------------------- the catalogue


def test_a_lookup_key_moves_to_a_new_price(client, monthly):
    old = client.v1.prices.update(monthly.id, {"lookup_key": "small"})
    wanted = {"currency": "eur", "unit_amount": 2_500, "product": old.product, "lookup_key": "small"}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.prices.create(wanted)
    assert refused.value.code == "resource_already_exists"

    new = client.v1.prices.create({**wanted, "transfer_lookup_key": True})

    assert [one.id for one in client.v1.prices.list({"lookup_keys": ["small"]}).data] == [new.id]
    assert client.v1.prices.retrieve(old.id).lookup_key is None


def test_a_refused_price_leaves_no_product_behind(client):
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.prices.create({"currency": "nonsense", "unit_amount": 100, "product_data": {"name": "Pack"}})

    assert client.v1.products.list().data == []
    assert client.v1.events.list().data == []


def test_a_product_keeps_the_id_that_it_is_given(client):
    client.v1.products.create({"name": "Small", "id": "mk_small"})

    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.products.create({"name": "Small", "id": "mk_small"})

    assert refused.value.code == "resource_already_exists"
    assert client.v1.products.update("mk_small", {"active": False}).active is False


def test_metadata_is_merged_and_emptied_by_key(client, customer):
    client.v1.customers.update(customer.id, {"metadata": {"a": "1", "b": "2"}})

    changed = client.v1.customers.update(customer.id, {"metadata": {"a": "", "c": "3"}})

    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}


# ---------------------------------------------------------------- the portal


@pytest.fixture
def subscription(client, payer, monthly):
    return client.v1.subscriptions.create({"customer": payer.id, "items": [{"price": monthly.id}]})


@pytest.fixture
def portal(client, payer, subscription):
    return client.v1.billing_portal.sessions.create({"customer": payer.id, "return_url": "http://127.0.0.1/account"})


def test_the_portal_shows_the_subscription_and_the_way_back(portal):
    status, page = visit(portal.url)

    assert status == 200
    for text in ("20.00 EUR", "Small", "active", "http://127.0.0.1/account", "visa ending in 4242", "Invoices"):
        assert text in page


def test_in_the_portal_a_customer_cancels_and_thinks_again(client, portal, subscription):
    visit(portal.url, act="cancel", subscription=subscription.id)
    cancelled = client.v1.subscriptions.retrieve(subscription.id)

    visit(portal.url, act="resume", subscription=subscription.id)

    kept = client.v1.subscriptions.retrieve(subscription.id)
    ends = cancelled["items"].data[0].current_period_end
    assert (cancelled.cancel_at_period_end, cancelled.cancel_at) == (False, ends)
    assert cancelled.cancellation_details.reason == "cancellation_requested"
    assert (kept.cancel_at_period_end, kept.cancel_at, kept.status) == (False, None, "active")


def test_in_the_portal_a_customer_changes_the_card(client, portal, payer):
    status, page = visit(portal.url, act="card", number="5555 5555 5555 4444")

    changed = client.v1.customers.retrieve(payer.id, {"expand": ["invoice_settings.default_payment_method"]})
    assert (status, "mastercard ending in 4444" in page) == (200, True)
    assert changed.invoice_settings.default_payment_method.card.last4 == "4444"


def test_a_declining_card_is_not_taken_in_the_portal(client, portal, payer):
    assert "Your card was declined." in visit(portal.url, act="card", number="4000 0000 0000 0002")[1]

    settings = client.v1.customers.retrieve(payer.id).invoice_settings
    assert settings.default_payment_method == payer.invoice_settings.default_payment_method


def test_nobody_touches_anothers_subscription_in_the_portal(client, portal, monthly):
    other = client.v1.customers.create({"email": "other@sandbox.example"})
    trial = {"customer": other.id, "items": [{"price": monthly.id}], "trial_period_days": 7}
    theirs = client.v1.subscriptions.create(trial)

    assert "no such subscription" in visit(portal.url, act="cancel", subscription=theirs.id)[1]
    assert client.v1.subscriptions.retrieve(theirs.id).cancel_at_period_end is False


def test_plans_are_switched_in_the_portal_when_it_offers_them(client, payer, subscription, monthly, monthly_big):
    offered = [{"product": monthly_big.product, "prices": [monthly_big.id]}]
    update = {
        "enabled": True,
        "default_allowed_updates": ["price"],
        "products": offered,
        "proration_behavior": "always_invoice",
    }
    configuration = client.v1.billing_portal.configurations.create({"features": {"subscription_update": update}})
    session = client.v1.billing_portal.sessions.create({"customer": payer.id, "configuration": configuration.id})

    visit(session.url, act="switch", subscription=subscription.id, price=monthly_big.id)

    changed = client.v1.subscriptions.retrieve(subscription.id)
    assert changed["items"].data[0].price.id == monthly_big.id
    refused = visit(session.url, act="cancel", subscription=subscription.id)[1]
    assert "does not offer this" in refused


# ---------------------------------------------------------------- money that leaves


@pytest.fixture
def seller(client, sandbox):
    account = client.v1.accounts.create({"type": "express", "country": "FR"})
    sandbox.control("POST", f"/stripe/_stripe/accounts/{account.id}/onboard", {})
    return client.v1.accounts.retrieve(account.id)


def test_a_seller_is_paid_only_after_the_onboarding_page(client):
    account = client.v1.accounts.create({"type": "express", "country": "FR"})
    transfer = {"amount": 1_000, "currency": "eur", "destination": account.id}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.transfers.create(transfer)
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    back = "http://127.0.0.1/back"
    asked = {"account": account.id, "type": "account_onboarding", "refresh_url": back, "return_url": back}
    link = client.v1.account_links.create(asked)

    assert visit(link.url, act="done") == (303, back)

    assert client.v1.accounts.retrieve(account.id).payouts_enabled is True
    assert client.v1.transfers.create(transfer).amount == 1_000


def test_a_transfer_and_a_payout_move_the_money_step_by_step(client, sandbox, mailbox, seller):
    theirs = {"stripe_account": seller.id}
    client.v1.transfers.create({"amount": 1_000, "currency": "eur", "destination": seller.id})
    wanted = {"amount": 600, "currency": "eur", "metadata": {"payout_id": "w1"}}
    payout = client.v1.payouts.create(wanted, theirs)
    assert payout.status == "pending"

    sandbox.advance(2 * DAY + 60)

    sandbox.letters("stripe")
    assert client.v1.payouts.retrieve(payout.id, {}, theirs).status == "paid"
    assert client.v1.balance.retrieve({}, theirs).available[0].amount == 400
    [told] = [event for event in mailbox.events() if event.type == "payout.paid"]
    assert told.account == seller.id
    line = next(line for line in sandbox.books("stripe")["payouts"] if line["id"] == payout.id)
    assert (line["reference"], line["state"], line["amount_minor"]) == ("w1", "paid", 600)


def test_more_than_there_is_is_not_paid_out(client, seller):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payouts.create({"amount": 1, "currency": "eur"}, {"stripe_account": seller.id})

    assert refused.value.code == "balance_insufficient"
    assert client.v1.payouts.list({}, {"stripe_account": seller.id}).data == []


def test_a_payout_that_seemed_paid_comes_back(client, sandbox, mailbox):
    payout = client.v1.payouts.create({"amount": 600, "currency": "eur"})
    sandbox.advance(2 * DAY + 60)
    assert client.v1.payouts.retrieve(payout.id).status == "paid"

    sandbox.control("POST", f"/stripe/_stripe/payouts/{payout.id}/fail", {"failure_code": "account_closed"})

    failed = client.v1.payouts.retrieve(payout.id)
    sandbox.letters("stripe")
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert client.v1.balance.retrieve().available[0].amount == 100_000_000
    assert mailbox.types()[-1] == "payout.failed"


def test_only_a_pending_payout_is_cancelled(client, sandbox):
    early = client.v1.payouts.create({"amount": 600, "currency": "eur"})
    assert client.v1.payouts.cancel(early.id).status == "canceled"
    late = client.v1.payouts.create({"amount": 600, "currency": "eur"})
    sandbox.advance(2 * DAY + 60)

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payouts.cancel(late.id)


def test_a_transfer_is_reversed_no_further_than_it_went(client, seller):
    transfer = client.v1.transfers.create({"amount": 1_000, "currency": "eur", "destination": seller.id})
    client.v1.transfers.reversals.create(transfer.id, {"amount": 400})

    with pytest.raises(stripe.InvalidRequestError):
        client.v1.transfers.reversals.create(transfer.id, {"amount": 601})

    assert client.v1.transfers.retrieve(transfer.id).amount_reversed == 400


# ---------------------------------------------------------------- events


def pay(client: Any, **options: Any) -> Any:
    wanted = {"amount": 900, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    return client.v1.payment_intents.create(wanted, options)


def test_events_are_signed_and_tell_which_call_made_them(client, sandbox, mailbox):
    intent = pay(client, idempotency_key="k1")

    sandbox.letters("stripe")
    event = mailbox.events()[-1]
    assert (event.type, event.data.object.id, event.livemode) == ("payment_intent.succeeded", intent.id, False)
    assert (event.api_version, event["request"]["idempotency_key"]) == ("2026-08-26.dahlia", "k1")


def test_a_forged_letter_does_not_pass_the_signature(client, sandbox, mailbox):
    sandbox.turn("stripe", notify={"forge": 1.0})
    pay(client)

    sandbox.letters("stripe")
    opened = 0
    for signature, body in mailbox.letters:
        try:
            stripe.Webhook.construct_event(body, signature, SECRET)
            opened += 1
        except stripe.SignatureVerificationError:
            assert json.loads(body)["type"] in (
                "payment_intent.succeeded",
                "charge.succeeded",
                "payment_intent.created",
            )
    assert 0 < opened < len(mailbox.letters)


def test_what_was_not_taken_is_listed_and_sent_again_until_it_is(client, sandbox, mailbox):
    mailbox.status = 500
    pay(client)
    sandbox.letters("stripe")
    missed = client.v1.events.list({"delivery_success": False})
    assert missed.data[0].type == "payment_intent.succeeded"
    assert missed.data[0].pending_webhooks == 1

    mailbox.status = 200
    sandbox.advance(3_601)
    sandbox.letters("stripe")

    assert client.v1.events.list({"delivery_success": False}).data == []
    assert mailbox.types().count("payment_intent.succeeded") == 2


def test_an_endpoint_gets_what_it_asked_for_by_its_own_secret(client, sandbox, mailbox):
    sandbox.configure("stripe", webhook_url="")
    made = client.v1.webhook_endpoints.create({"url": mailbox.url, "enabled_events": ["charge.succeeded"]})

    pay(client)
    sandbox.letters("stripe")
    client.v1.webhook_endpoints.delete(made.id)
    pay(client)
    sandbox.letters("stripe")

    [(signature, body)] = mailbox.letters
    assert stripe.Webhook.construct_event(body, signature, str(made.secret)).type == "charge.succeeded"


def test_events_are_listed_by_type(client):
    pay(client)

    assert [event.type for event in client.v1.events.list({"type": "charge.*"}).data] == ["charge.succeeded"]


# ---------------------------------------------------------------- bad days


def test_a_reply_that_is_lost_after_the_charge_is_found_by_the_same_key(client, sandbox):
    sandbox.turn("stripe", drop_after=1.0)
    with pytest.raises(stripe.APIConnectionError):
        pay(client, idempotency_key="k1")
    sandbox.turn("stripe", drop_after=0.0)

    found = pay(client, idempotency_key="k1")

    assert found.status == "succeeded"
    assert len(client.v1.charges.list().data) == 1


def test_a_500_before_acting_has_charged_nothing(client, sandbox):
    sandbox.turn("stripe", http500_before=1.0)
    with pytest.raises(stripe.APIError) as failed:
        pay(client)
    sandbox.turn("stripe", http500_before=0.0)

    assert failed.value.http_status == 500
    assert client.v1.charges.list().data == []


def test_an_unknown_address_is_stripes_own_404(sandbox):
    with pytest.raises(Refused, match="Unrecognized request URL"):
        sandbox.control("GET", "/stripe/v1/nonsense")
