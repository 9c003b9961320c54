"""The books: what this Stripe knows of every payment, refund and payout, in the shape that all gateways share."""

from sandbox.books import Entry
from sandbox.stripe import amounts
from sandbox.stripe.state import State, Thing

PAYMENT_STATES = {
    "canceled": "cancelled",
    "processing": "pending",
    "requires_action": "open",
    "requires_capture": "authorized",
    "requires_confirmation": "open",
    "requires_payment_method": "open",
    "succeeded": "paid",
}
REFUND_STATES = {"canceled": "failed", "failed": "failed", "pending": "pending", "succeeded": "paid"}
PAYOUT_STATES = {
    "canceled": "returned",
    "failed": "returned",
    "in_transit": "pending",
    "paid": "paid",
    "pending": "pending",
}
# Where shops write their own name for a thing, the first that is there.
REFERENCES = (
    *("attempt", "attempt_id", "payment", "payment_id", "refund", "refund_id", "payout", "payout_id", "withdrawal"),
    *("withdrawal_id", "reference", "order", "order_id"),
)


def reference_of(metadata: Thing) -> str:
    return next((str(metadata[name]) for name in REFERENCES if metadata.get(name)), "")


def entries(state: State) -> list[Entry]:
    return [*_sessions(state), *_intents(state), *_refunds(state), *_payouts(state), *_transfers(state)]


def _entry(state: State, thing: Thing, *, kind: str, amount: int, its_state: str, **facts: str) -> Entry:
    return Entry(
        kind=kind,
        id=thing["id"],
        reference=facts.pop("reference", "") or reference_of(thing.get("metadata") or {}),
        amount_minor=amounts.books_minor(amount, thing["currency"]),
        currency=thing["currency"].upper(),
        state=its_state,
        created_at=thing["created"],
        updated_at=_updated_at(state, thing),
        **{"gateway_state": thing.get("status") or "paid", **facts},
    )


def _updated_at(state: State, thing: Thing) -> float:
    return float(thing.get("canceled_at") or state.private(thing).get("updated_at") or thing["created"])


def _sessions(state: State) -> list[Entry]:
    """A session is a payment's one line, also before and after its PaymentIntent."""
    lines = []
    for session in state.all("checkout.session"):
        if session["mode"] != "payment":
            continue
        intent = state.find("payment_intent", state.private(session).get("payment_intent"))
        its_state = {"open": "open", "expired": "expired"}.get(session["status"], "paid")
        if intent and session["status"] == "complete":
            its_state = PAYMENT_STATES[intent["status"]].replace("open", "declined")  # a bank debit that came back
        lines.append(
            _entry(
                state,
                session,
                kind="payment",
                amount=session["amount_total"],
                its_state=its_state,
                reference=session["client_reference_id"] or reference_of((intent or {}).get("metadata") or {}),
                gateway_state=f"{session['status']}/{session['payment_status']}",
                page_url=session["url"] or "",
            )
        )
    return lines


def _intents(state: State) -> list[Entry]:
    lines = []
    for intent in state.all("payment_intent"):
        hidden = state.private(intent)
        if hidden.get("session"):
            continue
        bill = state.find("invoice", hidden.get("invoice"))
        its_state = PAYMENT_STATES[intent["status"]]
        if its_state == "open" and intent["last_payment_error"]:
            its_state = "declined"
        taken = intent["amount_received"] or intent["amount"]
        lines.append(
            _entry(
                state,
                intent,
                kind="payment",
                amount=taken,
                its_state=its_state,
                page_url=(bill or {}).get("hosted_invoice_url") or f"{state.base_url}/pages/pay/{intent['id']}",
                parent_id=bill["id"] if bill else "",
            )
        )
    return lines


def _refunds(state: State) -> list[Entry]:
    return [
        _entry(
            state,
            refund,
            kind="refund",
            amount=refund["amount"],
            its_state=REFUND_STATES[refund["status"]],
            parent_id=_session_or_intent(state, refund["payment_intent"]),
        )
        for refund in state.all("refund")
    ]


def _session_or_intent(state: State, name: str) -> str:
    hidden = state.private(state.get("payment_intent", name))
    return str(hidden.get("session") or name)


def _payouts(state: State) -> list[Entry]:
    return [
        _entry(state, payout, kind="payout", amount=payout["amount"], its_state=PAYOUT_STATES[payout["status"]])
        for payout in state.all("payout")
    ]


def _transfers(state: State) -> list[Entry]:
    return [
        _entry(
            state,
            transfer,
            kind="payout",
            amount=transfer["amount"],
            its_state="returned" if transfer["reversed"] else "paid",
        )
        for transfer in state.all("transfer")
    ]
