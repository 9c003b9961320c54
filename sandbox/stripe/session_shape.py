"""The shape of a Checkout Session and of its lines."""

from sandbox.stripe import billing_shapes
from sandbox.stripe.forms import Params
from sandbox.stripe.plans import Wish
from sandbox.stripe.shapes import base, nothing
from sandbox.stripe.state import State, Thing, new_id


def make(state: State, params: Params, *, mode: str, customer: Thing | None, currency: str | None) -> Thing:
    empty = nothing(
        "after_expiration client_secret collected_information consent consent_collection currency_conversion"
        " customer_account customer_details discounts invoice line_items locale payment_intent payment_link"
        " payment_method_configuration_details permissions recovered_from return_url setup_intent"
        " shipping_address_collection shipping_cost submit_type subscription amount_subtotal amount_total total_details"
        " billing_address_collection branding_settings origin_context optional_items"
    )
    email = params.text("customer_email") or (customer or {}).get("email")
    details = {"address": None, "email": email, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": None}
    is_taxed = params.inside("automatic_tax").flag("enabled")
    standing = {
        "adaptive_pricing": {"enabled": False},
        "allow_promotion_codes": params.flag("allow_promotion_codes") or None,
        "automatic_tax": {
            "enabled": is_taxed,
            "liability": {"type": "self"} if is_taxed else None,
            "provider": "stripe" if is_taxed else None,
            "status": "requires_location_inputs" if is_taxed else None,
        },
        "cancel_url": params.text("cancel_url"),
        "client_reference_id": params.text("client_reference_id"),
        "currency": currency,
        "custom_fields": [],
        "custom_text": nothing("after_submit shipping_address submit terms_of_service_acceptance"),
        "customer": customer["id"] if customer else None,
        "customer_creation": _creation(params, mode, customer),
        "customer_details": details if email else None,
        "customer_email": params.text("customer_email"),
        "invoice_creation": _invoice_creation(params) if mode == "payment" else None,
        "locale": params.text("locale"),
        "metadata": params.metadata(),
        "mode": mode,
        "payment_method_collection": params.choice("payment_method_collection", "always if_required", "always"),
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required" if mode == "setup" else "unpaid",
        "phone_number_collection": {"enabled": params.inside("phone_number_collection").flag("enabled")},
        "saved_payment_method_options": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.text("submit_type"),
        "success_url": params.text("success_url"),
        "return_url": params.text("return_url"),
        "ui_mode": params.text("ui_mode") or "hosted_page",
        "wallet_options": None,
    }
    session = base(state, "checkout.session", **{**empty, **standing, "expires_at": 0})
    session["url"] = f"{state.base_url}/pages/checkout/{session['id']}"
    return session


def _creation(params: Params, mode: str, customer: Thing | None) -> str | None:
    if customer or mode == "setup":
        return params.text("customer_creation")
    return params.choice(
        "customer_creation", "always if_required", "always" if mode == "subscription" else "if_required"
    )


def _invoice_creation(params: Params) -> Thing:
    wish = params.inside("invoice_creation")
    data = nothing("account_tax_ids custom_fields description footer issuer rendering_options")
    given = wish.inside("invoice_data")
    data |= {"description": given.text("description"), "metadata": given.metadata()}
    return {"enabled": wish.flag("enabled"), "invoice_data": data}


def item(wish: Wish, name: str, cost: int, taken: int, tax: Thing | None = None) -> Thing:
    """One line as the session shows it."""
    on_top = tax["amount"] if tax and not tax["is_inside"] else 0
    return {
        "id": new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": taken,
        "amount_subtotal": cost,
        "amount_tax": tax["amount"] if tax else 0,
        "amount_total": cost - taken + on_top,
        "currency": wish.price["currency"],
        "description": name,
        "metadata": {},
        "price": wish.price,
        "quantity": wish.quantity,
    }


def invoice_lines(state: State, wishes: list[Wish], moment: int) -> list[Thing]:
    """What is bought once, as lines of an invoice."""
    lines = []
    for each in wishes:
        product = state.get("product", each.price["product"])
        amount = (each.price["unit_amount"] or 0) * each.quantity
        lines.append(
            billing_shapes.line(
                amount=amount,
                description=product["name"],
                period=(moment, moment),
                price=each.price,
                quantity=each.quantity,
            )
        )
    return lines


def wait_for_invoice(state: State, customer: Thing, line: Thing) -> None:
    """What is bought once beside a subscription comes with its first invoice."""
    state.add(billing_shapes.invoice_item(state, customer["id"], line, None))
