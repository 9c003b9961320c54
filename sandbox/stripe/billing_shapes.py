"""The shapes of subscriptions, invoices and what stands in them."""

from typing import Any

from sandbox.stripe.shapes import FLEXIBLE, NO_TAX, base, nothing, plan, price_details
from sandbox.stripe.state import State, Thing, new_id

SELF = {"type": "self"}


def subscription(state: State, **facts: Any) -> Thing:
    empty = nothing(
        "application application_fee_percent billing_thresholds cancel_at canceled_at customer_account days_until_due"
        " default_payment_method default_source description ended_at latest_invoice next_pending_invoice_item_invoice"
        " on_behalf_of pause_collection pending_invoice_item_interval pending_setup_intent pending_update schedule"
        " test_clock transfer_data trial_end trial_start billing_cycle_anchor_config"
    )
    payment = {"payment_method_options": None, "payment_method_types": None, "save_default_payment_method": "off"}
    standing = {
        "automatic_tax": dict(NO_TAX),
        "billing_mode": {**FLEXIBLE, "updated_at": state.time()},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": SELF},
        "payment_settings": payment,
        "start_date": state.time(),
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }
    return base(state, "subscription", **{**empty, **standing, **facts})


def subscription_item(state: State, price: Thing, quantity: int, *, start: int, end: int, owner: str) -> Thing:
    return {
        "id": new_id("subscription_item"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": state.time(),
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "plan": plan(price),
        "price": price,
        "quantity": quantity,
        "subscription": owner,
        "tax_rates": [],
    }


def line(
    *,
    amount: int,
    description: str,
    period: tuple[int, int],
    price: Thing,
    quantity: int,
    item: Thing | None = None,
    invoice_item: str | None = None,
    is_proration: bool = False,
) -> Thing:
    """One line of an invoice: of a subscription's item, or of something that waited to be billed."""
    owner = item["subscription"] if item else None
    details: Thing = {"proration": is_proration, "proration_details": {"credited_items": None}, "subscription": owner}
    if invoice_item is None and item is not None:
        details |= {"invoice_item": None, "subscription_item": item["id"]}
        parent: Thing = {"invoice_item_details": None, "subscription_item_details": details}
        parent["type"] = "subscription_item_details"
    else:
        details["invoice_item"] = invoice_item or new_id("invoiceitem")
        parent = {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}
    return {
        "id": new_id("line_item"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": not is_proration,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": price_details(price),
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": owner,
        "subtotal": amount,
        "taxes": [],
    }


def invoice(state: State, **facts: Any) -> Thing:
    empty = nothing(
        "account_tax_ids application automatically_finalizes_at custom_fields customer_account customer_address"
        " customer_email customer_name customer_phone customer_shipping default_payment_method default_source"
        " description due_date effective_at ending_balance footer from_invoice hosted_invoice_url invoice_pdf"
        " last_finalization_error latest_revision next_payment_attempt number on_behalf_of parent"
        " receipt_number rendering shipping_cost shipping_details statement_descriptor test_clock webhooks_delivered_at"
    )
    standing = {
        "account_country": "FR",
        "account_name": "Tirelire sandbox",
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {**NO_TAX, "provider": None, "status": None},
        "collection_method": "charge_automatically",
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_tax_rates": [],
        "issuer": SELF,
        "payment_settings": nothing("default_mandate payment_method_options payment_method_types"),
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "status": "draft",
        "status_transitions": nothing("finalized_at marked_uncollectible_at paid_at voided_at"),
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    }
    return base(state, "invoice", **{**empty, **standing, **facts})


def invoice_payment(state: State, bill: Thing, intent: Thing) -> Thing:
    made = base(
        state,
        "invoice_payment",
        amount_paid=None,
        amount_requested=bill["amount_due"],
        currency=bill["currency"],
        invoice=bill["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    del made["metadata"]
    return made


def invoice_item(state: State, customer: str, waiting: Thing, owner: Thing | None) -> Thing:
    """What waits for the next invoice, from the line that it will be there."""
    parent = None
    if owner:
        details = {"subscription": owner["id"], "subscription_item": None}
        parent = {"subscription_details": details, "type": "subscription_details"}
    inner = waiting["parent"]["invoice_item_details"] or waiting["parent"]["subscription_item_details"]
    made = base(
        state,
        "invoiceitem",
        amount=waiting["amount"],
        currency=waiting["currency"],
        customer=customer,
        customer_account=None,
        date=state.time(),
        description=waiting["description"],
        discountable=waiting["discountable"],
        discounts=[],
        invoice=None,
        parent=parent,
        period=waiting["period"],
        pricing=waiting["pricing"],
        proration=inner["proration"],
        quantity=waiting["quantity"],
        quantity_decimal=waiting["quantity_decimal"],
        tax_rates=[],
        test_clock=None,
    )
    del made["created"]
    return made
