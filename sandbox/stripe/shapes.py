"""Stripe's objects at version 2026-08-26.dahlia: what always stands in them, null where there is nothing to say."""

from typing import Any

from sandbox.stripe.cards import Card
from sandbox.stripe.state import State, Thing, new_id

NO_ADDRESS: Thing = {"city": None, "country": None, "line1": None, "line2": None, "postal_code": None, "state": None}
NO_TAX: Thing = {"disabled_reason": None, "enabled": False, "liability": None}
FLEXIBLE: Thing = {"flexible": {"proration_discounts": "included"}, "type": "flexible"}


def nothing(names: str) -> Thing:
    return dict.fromkeys(names.split())


def base(state: State, kind: str, **facts: Any) -> Thing:
    """What nearly all objects have."""
    known: Thing = {"id": new_id(kind), "object": kind, "created": state.time(), "livemode": False, "metadata": {}}
    return {**known, **facts}


def billing_details(name: str | None = None, email: str | None = None, address: Thing | None = None) -> Thing:
    return {"address": {**NO_ADDRESS, **(address or {})}, "email": email, "name": name, "phone": None, "tax_id": None}


def challenge(state: State, intent: Thing) -> Thing:
    """Where the bank asks its customer: a page to be led to, or one that Stripe's script opens."""
    url = f"{state.base_url}/pages/challenge/{intent['id']}"
    return_url = state.private(intent).get("return_url")
    if return_url:
        return {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": return_url}}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}


def card_face(card: Card, year: int) -> Thing:
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": year,
        "fingerprint": card.fingerprint,
        "funding": card.funding,
        "last4": card.last4,
        "wallet": None,
    }


def payment_method(state: State, card: Card, *, year: int, details: Thing | None = None) -> Thing:
    face = {
        **card_face(card, year),
        "display_brand": card.brand,
        "generated_from": None,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
    }
    return base(
        state,
        "payment_method",
        allow_redisplay="unspecified",
        billing_details=details or billing_details(),
        card=face,
        customer=None,
        customer_account=None,
        type="card",
    )


def debit(state: State, details: Thing) -> Thing:
    """A bank account that is debited."""
    face = {"bank_code": "20041", "branch_code": "01005", "country": "FR", "fingerprint": "sandbox", "last4": "2606"}
    return base(
        state,
        "payment_method",
        allow_redisplay="unspecified",
        billing_details=details,
        customer=None,
        customer_account=None,
        sepa_debit={**face, "generated_from": None},
        type="sepa_debit",
    )


def customer(state: State, **facts: Any) -> Thing:
    settings = {"custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None}
    empty = nothing("address currency customer_account default_source description discount email name phone shipping")
    standing = {
        "balance": 0,
        "delinquent": False,
        "invoice_prefix": new_id("coupon").upper(),
        "invoice_settings": settings,
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
        "test_clock": None,
    }
    return base(state, "customer", **{**empty, **standing, **facts})


def setup_intent(state: State, **facts: Any) -> Thing:
    empty = nothing(
        "application automatic_payment_methods cancellation_reason customer customer_account description"
        " flow_directions last_setup_error latest_attempt mandate next_action on_behalf_of payment_method"
        " payment_method_configuration_details single_use_mandate excluded_payment_method_types"
    )
    made = base(state, "setup_intent", **{**empty, "payment_method_types": ["card"], "usage": "off_session", **facts})
    made["client_secret"] = f"{made['id']}_secret_{new_id('coupon')}"
    made.setdefault(
        "payment_method_options",
        {"card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}},
    )
    made.setdefault("status", "requires_payment_method")
    return made


def payment_intent(state: State, **facts: Any) -> Thing:
    empty = nothing(
        "amount_details application application_fee_amount automatic_payment_methods canceled_at cancellation_reason"
        " customer customer_account description excluded_payment_method_types last_payment_error latest_charge"
        " next_action on_behalf_of payment_method payment_method_configuration_details processing receipt_email review"
        " setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_data"
        " transfer_group"
    )
    card = {"installments": None, "mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
    standing = {
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "payment_method_options": {"card": card},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
    }
    made = base(state, "payment_intent", **{**empty, **standing, **facts})
    made["client_secret"] = f"{made['id']}_secret_{new_id('coupon')}"
    return made


def _method_details(intent: Thing, method: Thing) -> Thing:
    if method["type"] == "sepa_debit":
        face = {**method["sepa_debit"], "expected_debit_date": None, "mandate": None}
        del face["generated_from"]
        return {"sepa_debit": face, "type": "sepa_debit"}
    face = {name: method["card"][name] for name in ("brand", "checks", "country", "exp_month", "exp_year", "wallet")}
    face |= {name: method["card"][name] for name in ("fingerprint", "funding", "last4")}
    face |= {"amount_authorized": intent["amount"], "network": method["card"]["brand"], "three_d_secure": None}
    face |= nothing("authorization_code installments mandate network_transaction_id regulated_status")
    return {"card": face, "type": "card"}


def charge(state: State, intent: Thing, method: Thing, **facts: Any) -> Thing:
    empty = nothing(
        "application application_fee application_fee_amount balance_transaction failure_balance_transaction"
        " failure_code failure_message on_behalf_of receipt_number receipt_url review shipping source source_transfer"
        " statement_descriptor transfer_data transfer_group"
    )
    standing = {
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "TIRELIRE SANDBOX",
        "captured": False,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "metadata": dict(intent["metadata"]),
        "outcome": None,
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _method_details(intent, method),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded",
    }
    return base(state, "charge", **{**empty, **standing, **facts})


def outcome(card: Card, *, is_accepted: bool = False) -> Thing:
    """What the network said of a charge."""
    if is_accepted:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    is_blocked = card.decline_code == "fraudulent"
    return {
        "advice_code": "try_again_later" if card.decline_code == "insufficient_funds" else None,
        "network_advice_code": None,
        "network_decline_code": "51" if card.decline_code == "insufficient_funds" else "05",
        "network_status": "not_sent_to_network" if is_blocked else "declined_by_network",
        "reason": "highest_risk_level" if is_blocked else card.decline_code or card.code,
        "risk_level": "highest" if is_blocked else "normal",
        "risk_score": 95 if is_blocked else 20,
        "seller_message": "The bank returned a decline code.",
        "type": "blocked" if is_blocked else "issuer_declined",
    }


def balance_transaction(state: State, *, amount: int, fee: int, currency: str, kind: str, source: str) -> Thing:
    categories = {"payment_refund": "refund", "stripe_fee": "fee", "adjustment": "dispute"}
    details = [
        {"amount": fee, "application": None, "currency": currency, "description": "Stripe fees", "type": "stripe_fee"}
    ]
    made = base(
        state,
        "balance_transaction",
        amount=amount,
        available_on=state.time() + 2 * 86_400,
        balance_type="payments",
        currency=currency,
        description=None,
        exchange_rate=None,
        fee=fee,
        fee_details=details if fee else [],
        net=amount - fee,
        reporting_category=categories.get(kind, kind),
        source=source,
        status="pending",
        type=kind,
    )
    del made["livemode"], made["metadata"]
    return made


def refund(state: State, **facts: Any) -> Thing:
    empty = nothing(
        "balance_transaction charge customer payment_intent payment_method reason receipt_number"
        " source_transfer_reversal transfer_reversal"
    )
    made = base(state, "refund", **{**empty, "status": "succeeded", **facts})
    del made["livemode"]
    return made


def price_details(price: Thing) -> Thing:
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"]}


def plan(price: Thing) -> Thing:
    """The old face of a recurring price, which a subscription item still shows."""
    recurring = price["recurring"]
    empty = nothing("meter tiers_mode transform_usage trial_period_days nickname")
    return {
        **empty,
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "product": price["product"],
        "usage_type": recurring["usage_type"],
    }


def discount(state: State, coupon: Thing, **facts: Any) -> Thing:
    empty = nothing("checkout_session customer customer_account end invoice invoice_item promotion_code subscription")
    made = {
        **empty,
        "id": new_id("discount"),
        "object": "discount",
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": state.time(),
        "subscription_item": None,
    }
    return {**made, **facts}
