"""Charges, and the lines of Stripe's balance that they and their likes leave."""

from sandbox.stripe import amounts, lists, methods, shapes
from sandbox.stripe.errors import CardDeclined
from sandbox.stripe.state import Call, Routes, State, Thing


def book(state: State, *, amount: int, fee: int, currency: str, kind: str, source: str) -> Thing:
    """One line of the balance."""
    return state.add(
        shapes.balance_transaction(state, amount=amount, fee=fee, currency=currency, kind=kind, source=source)
    )


def make(state: State, intent: Thing, method: Thing, *, is_captured: bool) -> Thing:
    """A charge that the bank has said yes to."""
    card = methods.card_of(state, method)
    charge = shapes.charge(state, intent, method, outcome=shapes.outcome(card, is_accepted=True))
    state.add(charge)
    if is_captured:
        _collect(state, charge, charge["amount"])
    state.tell("charge.succeeded", charge)
    return charge


def refuse(state: State, intent: Thing, method: Thing, error: CardDeclined) -> Thing:
    """A charge that the bank has said no to."""
    charge = shapes.charge(
        state,
        intent,
        method,
        failure_code=error.code,
        failure_message=error.message,
        outcome=shapes.outcome(methods.card_of(state, method)),
        paid=False,
        status="failed",
    )
    state.add(charge)
    state.tell("charge.failed", charge)
    return charge


def capture(state: State, charge: Thing, amount: int) -> None:
    _collect(state, charge, amount)
    charge["amount_refunded"] = 0
    state.tell("charge.captured", charge)


def _collect(state: State, charge: Thing, amount: int) -> None:
    fee = amounts.fee_of(amount, charge["currency"])
    line = book(state, amount=amount, fee=fee, currency=charge["currency"], kind="charge", source=charge["id"])
    charge.update(captured=True, amount_captured=amount, balance_transaction=line["id"])


def release(state: State, charge: Thing) -> None:
    """Let an authorisation go: Stripe shows it as refunded."""
    charge.update(amount_refunded=charge["amount"], refunded=True)
    state.tell("charge.refunded", charge)


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("charge", name)


def update(call: Call, name: str) -> Thing:
    charge = call.state.get("charge", name)
    changes: Thing = {"metadata": call.params.metadata(charge["metadata"])}
    if call.params.has("description"):
        changes["description"] = call.params.text("description")
    call.state.change(charge, "charge.updated", **changes)
    return charge


def listed(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("charge"), call.params, "customer payment_intent")
    return lists.page(call, chosen, "/v1/charges")


def found(call: Call) -> Thing:
    return lists.search(call, call.state.all("charge"), "/v1/charges/search")


def retrieve_line(call: Call, name: str) -> Thing:
    return call.state.get("balance_transaction", name)


def listed_lines(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("balance_transaction"), call.params, "type currency source payout")
    return lists.page(call, chosen, "/v1/balance_transactions")


ROUTES: Routes = [
    ("GET", "/v1/charges", listed),
    ("GET", "/v1/charges/search", found),
    ("GET", "/v1/charges/{name}", retrieve),
    ("POST", "/v1/charges/{name}", update),
    ("GET", "/v1/balance_transactions", listed_lines),
    ("GET", "/v1/balance_transactions/{name}", retrieve_line),
]
