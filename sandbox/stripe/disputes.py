"""Disputes: a buyer's bank takes the money back, the shop answers, the bank decides."""

from sandbox.stripe import charges, errors, files, lists, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.state import Call, Routes, State, Thing

ANSWER_WITHIN_SECONDS = 9 * 86_400
FEE_IN_CENTS = 1_500  # of a dollar or euro; nothing where there are no cents
REASONS = (
    "bank_cannot_process check_returned credit_not_processed customer_initiated debit_not_authorized duplicate"
    " fraudulent general incorrect_account_details insufficient_funds product_not_received product_unacceptable"
    " subscription_canceled unrecognized"
)
EVIDENCE = (
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal"
    " customer_communication customer_email_address customer_name customer_purchase_ip customer_signature"
    " duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt"
    " refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation"
    " shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number"
    " uncategorized_file uncategorized_text"
)


def open_one(state: State, charge: Thing, *, reason: str, amount: int | None = None) -> Thing:
    """The bank takes the money, and a fee, before anybody is asked."""
    if charge["disputed"] or not charge["paid"] or not charge["captured"]:
        raise StripeError("This charge cannot be disputed.")
    dispute = _make(state, charge, reason=reason, amount=amount or charge["amount"])
    charge.update(disputed=True)
    state.tell("charge.dispute.created", dispute)
    fee = FEE_IN_CENTS if charge["currency"] in ("usd", "eur", "gbp", "cad", "aud", "chf") else 0
    _book(state, dispute, amount=-dispute["amount"], fee=fee)
    state.tell("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _make(state: State, charge: Thing, *, reason: str, amount: int) -> Thing:
    if charge["payment_method_details"]["type"] != "card":
        raise StripeError("Only charges of cards are disputed here.")
    brand = charge["payment_method_details"]["card"]["brand"]
    card = {"brand": brand, "case_type": "chargeback", "network": brand, "network_reason_code": "10.4"}
    details = {
        "due_by": state.time() + ANSWER_WITHIN_SECONDS,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }
    return state.add(
        shapes.base(
            state,
            "dispute",
            amount=amount,
            balance_transactions=[],
            charge=charge["id"],
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={**shapes.nothing(EVIDENCE), "enhanced_evidence": {}},
            evidence_details=details,
            is_charge_refundable=False,
            payment_intent=charge["payment_intent"],
            payment_method_details={"card": card, "type": "card"},
            reason=reason,
            status="needs_response",
        )
    )


def _book(state: State, dispute: Thing, *, amount: int, fee: int) -> None:
    line = charges.book(
        state, amount=amount, fee=fee, currency=dispute["currency"], kind="adjustment", source=dispute["id"]
    )
    dispute["balance_transactions"].append(line)


def close(state: State, dispute: Thing, *, is_won: bool) -> None:
    """The bank's word is final."""
    if dispute["status"] in ("won", "lost"):
        raise StripeError(f"This dispute is already {dispute['status']}.")
    if is_won:
        _book(state, dispute, amount=dispute["amount"], fee=0)
        dispute["status"] = "won"
        state.tell("charge.dispute.closed", dispute)
        state.tell("charge.dispute.funds_reinstated", dispute)
    else:
        dispute["status"] = "lost"
        state.tell("charge.dispute.closed", dispute)


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("dispute", name)


def listed(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("dispute"), call.params, "charge payment_intent")
    return lists.page(call, chosen, "/v1/disputes")


def update(call: Call, name: str) -> Thing:
    """Evidence. As in Stripe's test mode, its text decides: winning_evidence or losing_evidence."""
    state, params = call.state, call.params
    dispute = state.get("dispute", name)
    if dispute["status"] != "needs_response":
        raise StripeError(f"This dispute cannot be updated: it is {dispute['status']}.")
    given = {key: value for key, value in params.inside("evidence").values.items() if key in EVIDENCE.split()}
    evidence = {**dispute["evidence"], **given}
    files.check(state, given)
    is_submitted = bool(given) and params.flag("submit", True)
    details = dict(dispute["evidence_details"], has_evidence=bool(given) or dispute["evidence_details"]["has_evidence"])
    status = dispute["status"]
    if is_submitted:
        details["submission_count"] += 1
        status = "under_review"
    metadata = params.metadata(dispute["metadata"])
    state.change(
        dispute, "charge.dispute.updated", evidence=evidence, evidence_details=details, metadata=metadata, status=status
    )
    verdict = {"winning_evidence": True, "losing_evidence": False}.get(evidence["uncategorized_text"] or "")
    if is_submitted and verdict is not None:
        close(state, dispute, is_won=verdict)
    return dispute


def accept(call: Call, name: str) -> Thing:
    dispute = call.state.get("dispute", name)
    close(call.state, dispute, is_won=False)
    return dispute


def open_by_hand(call: Call) -> Thing:
    """Not Stripe's: the buyer goes to their bank."""
    intent = call.state.named("payment_intent", call.params, "payment_intent")
    if intent is None:
        raise errors.parameter_missing("payment_intent")
    charge = call.state.find("charge", intent["latest_charge"])
    if charge is None:
        raise errors.parameter_invalid("payment_intent", "Nothing was charged that could be disputed.")
    reason = call.params.choice("reason", REASONS, "fraudulent")
    return open_one(call.state, charge, reason=reason, amount=call.params.integer("amount", least=1))


def close_by_hand(call: Call, name: str) -> Thing:
    """Not Stripe's: the bank decides."""
    dispute = call.state.get("dispute", name)
    close(call.state, dispute, is_won=call.params.choice("status", "won lost", "lost") == "won")
    return dispute


ROUTES: Routes = [
    ("GET", "/v1/disputes", listed),
    ("GET", "/v1/disputes/{name}", retrieve),
    ("POST", "/v1/disputes/{name}", update),
    ("POST", "/v1/disputes/{name}/close", accept),
]
