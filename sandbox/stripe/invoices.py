"""Invoices: drawn up from lines, finalised, paid or not. Who pays and what follows is collection's."""

from typing import Any

from sandbox.stripe import amounts, billing_shapes, discounts, intents, lists, taxes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.state import Call, Routes, State, Thing


def draw(
    state: State,
    customer: Thing,
    lines: list[Thing],
    *,
    reason: str,
    currency: str,
    subscription: Thing | None = None,
    reductions: list[Thing] | None = None,
    is_preview: bool = False,
    **facts: Any,
) -> Thing:
    """A draft with these lines. A preview is kept nowhere and told to nobody."""
    bill = billing_shapes.invoice(
        state,
        billing_reason=reason,
        currency=currency,
        customer=customer["id"],
        customer_address=customer["address"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        customer_phone=customer["phone"],
        period_start=facts.pop("period_start", state.time()),
        period_end=facts.pop("period_end", state.time()),
        **facts,
    )
    if subscription:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        is_taxed = bool(subscription["automatic_tax"]["enabled"])
        bill["automatic_tax"] |= {**subscription["automatic_tax"]} | ({"status": "complete"} if is_taxed else {})
        bill["parent"] = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    for each in lines:
        each["invoice"] = bill["id"]
    bill["lines"] = lists.wrap(lines, f"/v1/invoices/{bill['id']}/lines")
    _sum_up(state, bill, customer, reductions or [])
    if not is_preview:
        state.add(bill)
        state.tell("invoice.created", bill)
    return bill


def _sum_up(state: State, bill: Thing, customer: Thing, reductions: list[Thing]) -> None:
    lines = bill["lines"]["data"]
    for each in lines:
        each["discount_amounts"] = []
    totals = []
    for reduction in reductions:
        coupon = discounts.coupon_of(state, reduction)
        left = [
            (each["pricing"]["price_details"]["product"], _left(each) if each["discountable"] else 0) for each in lines
        ]
        taken = discounts.shares(coupon, left, bill["currency"])
        for each, amount in zip(lines, taken, strict=True):
            if amount:
                each["discount_amounts"].append({"amount": amount, "discount": reduction["id"]})
        totals.append({"amount": sum(taken), "discount": reduction["id"]})
    subtotal = sum(each["amount"] for each in lines)
    reckoned = _taxes(state, bill, customer)
    on_top = sum(found["amount"] for found in reckoned if not found["is_inside"])
    total = subtotal - sum(each["amount"] for each in totals) + on_top
    tax = sum(found["amount"] for found in reckoned)
    due = _due(total, customer["balance"], bill["currency"])
    bill.update(
        amount_due=due,
        amount_remaining=due,
        discounts=[each["id"] for each in reductions],
        starting_balance=customer["balance"],
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal,
        total=total,
        total_discount_amounts=totals,
        total_excluding_tax=total - tax,
        total_taxes=[taxes.in_invoice(found) for found in reckoned],
    )


def _taxes(state: State, bill: Thing, customer: Thing) -> list[Thing]:
    """Of each line what is left of it, by the country that the customer is known to be in."""
    if not bill["automatic_tax"]["enabled"]:
        return []
    bill["customer_tax_ids"] = ids = taxes.tax_ids(state, customer)
    country = (customer["address"] or {}).get("country")
    return [taxes.reckon(_left(each), _behavior(state, each), country, ids) for each in bill["lines"]["data"]]


def _behavior(state: State, line: Thing) -> str:
    return str(state.get("price", line["pricing"]["price_details"]["price"])["tax_behavior"])


def _due(total: int, balance: int, currency: str) -> int:
    """What is to be charged: less what we owe the customer, and nothing when it is too little to charge."""
    due = total + balance if total > 0 else 0
    return due if due >= amounts.LEAST.get(currency, 1) else 0


def _left(each: Thing) -> int:
    return int(each["amount"] - sum(taken["amount"] for taken in each["discount_amounts"]))


def finalize(state: State, bill: Thing, intent: Thing | None = None) -> None:
    """From here on its amounts stand; what is due gets a PaymentIntent, or the one that was paid already."""
    if bill["status"] != "draft":
        raise StripeError(f"This invoice is already finalized: it is {bill['status']}.", code="invoice_not_editable")
    customer = state.get("customer", bill["customer"])
    due = _due(bill["total"], customer["balance"], bill["currency"])
    bill.update(amount_due=due, amount_remaining=due, starting_balance=customer["balance"])
    customer["balance"] += bill["total"] - due
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    bill.update(
        automatically_finalizes_at=None,
        effective_at=state.time(),
        ending_balance=customer["balance"],
        hosted_invoice_url=f"{state.base_url}/pages/invoice/{bill['id']}",
        number=number,
        status="open",
    )
    bill["status_transitions"]["finalized_at"] = state.time()
    if bill["amount_due"]:
        _tie(state, bill, intent or _ask_for_payment(state, bill))
    state.tell("invoice.finalized", bill)


def _ask_for_payment(state: State, bill: Thing) -> Thing:
    is_first = bill["billing_reason"] == "subscription_create"
    return intents.make(
        state,
        amount=bill["amount_due"],
        currency=bill["currency"],
        customer=bill["customer"],
        description="Subscription creation" if is_first else "Subscription update",
        setup_future_usage="off_session" if subscription_of(bill) else None,
    )


def _tie(state: State, bill: Thing, intent: Thing) -> None:
    state.private(intent)["invoice"] = bill["id"]
    state.private(bill)["payment_intent"] = intent["id"]
    payment = state.add(billing_shapes.invoice_payment(state, bill, intent))
    state.private(bill)["payment"] = payment["id"]


def intent_of(state: State, bill: Thing) -> Thing | None:
    return state.find("payment_intent", state.private(bill).get("payment_intent"))


def mark_paid(state: State, bill: Thing, *, is_out_of_band: bool = False) -> None:
    """Paid: by its PaymentIntent, by the customer's balance, or outside of Stripe."""
    now = state.time()
    bill.update(
        amount_paid=bill["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
        status="paid",
    )
    bill["status_transitions"]["paid_at"] = now
    state.wake_at(bill, None)
    payment = state.find("invoice_payment", state.private(bill).get("payment"))
    if payment and not is_out_of_band:
        payment.update(amount_paid=bill["amount_paid"], status="paid")
        payment["status_transitions"]["paid_at"] = now
        state.tell("invoice_payment.paid", payment)
    state.tell("invoice.updated", bill, {"status": "open"})
    state.tell("invoice.paid", bill)
    state.tell("invoice.payment_succeeded", bill)


def void(state: State, bill: Thing) -> None:
    if bill["status"] not in ("open", "uncollectible"):
        raise StripeError(f"You can only void an open invoice; this one is {bill['status']}.")
    _end(state, bill, "void", "voided_at")
    state.tell("invoice.voided", bill)


def write_off(state: State, bill: Thing) -> None:
    if bill["status"] != "open":
        raise StripeError(f"You can only mark an open invoice; this one is {bill['status']}.")
    _end(state, bill, "uncollectible", "marked_uncollectible_at")
    state.tell("invoice.marked_uncollectible", bill)


def _end(state: State, bill: Thing, status: str, moment: str) -> None:
    intent = intent_of(state, bill)
    if intent and intent["status"] in intents.OPEN:
        intents.cancel(state, intent, "void_invoice")
    bill.update(status=status, auto_advance=False, next_payment_attempt=None)
    bill["status_transitions"][moment] = state.time()
    state.wake_at(bill, None)


# ---------------------------------------------------------------- what stands in them on demand


def _payments(state: State, bill: Thing) -> Thing:
    made = [each for each in state.all("invoice_payment") if each["invoice"] == bill["id"]]
    return lists.wrap(made, "/v1/invoice_payments")


def _confirmation_secret(state: State, bill: Thing) -> Thing | None:
    intent = intent_of(state, bill)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


lists.INCLUDABLE["invoice", "payments"] = _payments
lists.INCLUDABLE["invoice", "confirmation_secret"] = _confirmation_secret


# ---------------------------------------------------------------- the API's reading side


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("invoice", name)


def update(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    bill = state.get("invoice", name)
    changes: Thing = {"metadata": params.metadata(bill["metadata"])}
    if params.has("auto_advance"):
        changes["auto_advance"] = params.flag("auto_advance")
    for field in ("description", "default_payment_method"):
        if params.has(field):
            changes[field] = params.text(field)
    state.change(bill, "invoice.updated", **changes)
    return bill


def listed(call: Call) -> Thing:
    state, params = call.state, call.params
    chosen = lists.matching(state.all("invoice"), params, "customer status collection_method")
    wanted = params.text("subscription")
    if wanted:
        chosen = [bill for bill in chosen if subscription_of(bill) == wanted]
    return lists.page(call, chosen, "/v1/invoices")


def subscription_of(bill: Thing) -> str | None:
    details = (bill["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def found(call: Call) -> Thing:
    return lists.search(call, call.state.all("invoice"), "/v1/invoices/search")


def lines(call: Call, name: str) -> Thing:
    bill = call.state.get("invoice", name)
    return lists.wrap(bill["lines"]["data"], f"/v1/invoices/{name}/lines")


def finalize_call(call: Call, name: str) -> Thing:
    bill = call.state.get("invoice", name)
    finalize(call.state, bill)
    return bill


def void_call(call: Call, name: str) -> Thing:
    bill = call.state.get("invoice", name)
    void(call.state, bill)
    return bill


def write_off_call(call: Call, name: str) -> Thing:
    bill = call.state.get("invoice", name)
    write_off(call.state, bill)
    return bill


def list_payments(call: Call) -> Thing:
    state, params = call.state, call.params
    chosen = lists.matching(state.all("invoice_payment"), params, "invoice status")
    intent = params.inside("payment").text("payment_intent")
    if intent:
        chosen = [each for each in chosen if each["payment"]["payment_intent"] == intent]
    return lists.page(call, chosen, "/v1/invoice_payments")


def retrieve_payment(call: Call, name: str) -> Thing:
    return call.state.get("invoice_payment", name)


ROUTES: Routes = [
    ("GET", "/v1/invoices", listed),
    ("GET", "/v1/invoices/search", found),
    ("GET", "/v1/invoices/{name}", retrieve),
    ("POST", "/v1/invoices/{name}", update),
    ("GET", "/v1/invoices/{name}/lines", lines),
    ("POST", "/v1/invoices/{name}/finalize", finalize_call),
    ("POST", "/v1/invoices/{name}/void", void_call),
    ("POST", "/v1/invoices/{name}/mark_uncollectible", write_off_call),
    ("GET", "/v1/invoice_payments", list_payments),
    ("GET", "/v1/invoice_payments/{name}", retrieve_payment),
]
