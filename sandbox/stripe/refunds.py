"""Refunds: at once, later, or bounced by the buyer's bank days after they seemed done."""

from sandbox.stripe import charges, errors, intents, lists, methods, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.state import Call, Routes, State, Thing

LATER_SECONDS = 3_600
BOUNCES_AFTER_SECONDS = 86_400
REASONS = "duplicate fraudulent requested_by_customer"


def _charge_named(call: Call) -> Thing:
    state, params = call.state, call.params
    if intent := state.named("payment_intent", params, "payment_intent"):
        charge = state.find("charge", intent["latest_charge"])
        if charge is None or not charge["paid"]:
            raise StripeError(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
            )
        return charge
    if charge := state.named("charge", params, "charge"):
        return charge
    raise StripeError("One of the following params should be provided for this request: payment_intent or charge.")


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    charge = _charge_named(call)
    if not charge["captured"]:
        intent = state.get("payment_intent", charge["payment_intent"])
        intents.cancel(state, intent, None)
        return _make(call, charge, charge["amount"])
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["refunded"] or left <= 0:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["disputed"] and _is_taken(state, charge):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    amount = params.integer("amount", least=1)
    if amount is not None and amount > left:
        currency = charge["currency"]
        message = f"Refund amount ({amount} {currency}) is greater than unrefunded amount on charge ({left} {currency})"
        raise errors.parameter_invalid("amount", message)
    made = _make(call, charge, left if amount is None else amount)
    _book(state, made, charge)
    return made


def _is_taken(state: State, charge: Thing) -> bool:
    return any(d["charge"] == charge["id"] and d["status"] != "won" for d in state.all("dispute"))


def _make(call: Call, charge: Thing, amount: int) -> Thing:
    state, params = call.state, call.params
    card = {"reference": None, "reference_status": "pending", "reference_type": "acquirer_reference_number"}
    made = shapes.refund(
        state,
        amount=amount,
        charge=charge["id"],
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details={"card": {**card, "type": "refund"}, "type": "card"},
        metadata=params.metadata(),
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=params.choice("reason", REASONS) or None,
    )
    return state.add(made)


def _book(state: State, made: Thing, charge: Thing) -> None:
    """The money leaves at once, whatever becomes of it afterwards."""
    temper = methods.card_of(state, state.get("payment_method", charge["payment_method"])).refund
    line = charges.book(
        state, amount=-made["amount"], fee=0, currency=made["currency"], kind="refund", source=made["id"]
    )
    made["balance_transaction"] = line["id"]
    refunded = charge["amount_refunded"] + made["amount"]
    charge.update(amount_refunded=refunded, refunded=refunded == charge["amount_captured"])
    if temper == "later":
        made.update(status="pending", pending_reason="processing")
        state.wake_at(made, state.time() + LATER_SECONDS)
    elif temper == "bounces":
        state.wake_at(made, state.time() + BOUNCES_AFTER_SECONDS)
    state.tell("refund.created", made)
    state.tell("charge.refunded", charge)
    state.tell("refund.updated", made)


def wake(state: State, made: Thing) -> None:
    """Time went by: what was pending arrives, what the bank did not want comes back."""
    method = state.get("payment_method", made["payment_method"])
    state.wake_at(made, None)
    if made["status"] == "pending":
        made.pop("pending_reason")
        state.change(made, "refund.updated", status="succeeded")
    elif methods.card_of(state, method).refund == "bounces":
        fail(state, made, "expired_or_canceled_card")


def fail(state: State, made: Thing, reason: str) -> None:
    if made["status"] not in ("succeeded", "pending"):
        raise StripeError(f"This refund is {made['status']} and cannot fail.")
    charge = state.get("charge", made["charge"])
    line = charges.book(
        state, amount=made["amount"], fee=0, currency=made["currency"], kind="refund_failure", source=made["id"]
    )
    charge.update(amount_refunded=charge["amount_refunded"] - made["amount"], refunded=False)
    before = {"status": made["status"]}
    made.update(status="failed", failure_reason=reason, failure_balance_transaction=line["id"])
    state.tell("refund.updated", made, before)
    state.tell("refund.failed", made)


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("refund", name)


def update(call: Call, name: str) -> Thing:
    made = call.state.get("refund", name)
    call.state.change(made, "refund.updated", metadata=call.params.metadata(made["metadata"]))
    return made


def listed(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("refund"), call.params, "charge payment_intent")
    return lists.page(call, chosen, "/v1/refunds")


def cancel(call: Call, name: str) -> Thing:
    made = call.state.get("refund", name)
    raise StripeError(f"You cannot cancel this refund: its status is {made['status']}, not requires_action.")


def fail_by_hand(call: Call, name: str) -> Thing:
    """Not Stripe's: the buyer's bank sends the money back."""
    made = call.state.get("refund", name)
    fail(call.state, made, call.params.text("failure_reason") or "expired_or_canceled_card")
    return made


ROUTES: Routes = [
    ("POST", "/v1/refunds", create),
    ("GET", "/v1/refunds", listed),
    ("GET", "/v1/refunds/{name}", retrieve),
    ("POST", "/v1/refunds/{name}", update),
    ("POST", "/v1/refunds/{name}/cancel", cancel),
]
