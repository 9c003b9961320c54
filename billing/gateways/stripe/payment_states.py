"""What a session or a payment intent of Stripe's says, in our words. Pure."""

from dataclasses import replace

from billing.gateways.base import Failure, Flow, NextAction, PaymentResult, PaymentState, SavedMethod
from billing.gateways.errors import FailureCategory, Uncertain
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.stripe import tax_states
from billing.gateways.stripe.client import NAME, Fields, category_of, id_of, moment, part
from billing.gateways.stripe.currencies import from_wire, from_wire_or_none

# What the metadata of an intent says that charges a saved card: whether its owner is away, or there.
OFF_SESSION, ON_SESSION = "off_session", "on_session"


def of_session(session: Fields) -> PaymentResult:
    intent = part(session.get("payment_intent"))
    ids = {"session": str(session["id"])}
    if found := id_of(session.get("payment_intent")):
        ids["payment_intent"] = found
    inner = of_intent(intent) if intent else None
    state = _session_state(session, inner)
    expires_at = moment(session.get("expires_at"))
    page = NextAction(type=Flow.REDIRECT, url=str(session.get("url") or ""), expires_at=expires_at)
    result = PaymentResult(
        state=state,
        ids={**ids, **(inner.ids if inner else {})},
        amount=from_wire_or_none(session.get("amount_total"), session.get("currency")),
        next_action=page if state is PaymentState.REQUIRES_ACTION and page.url else None,
        gateway_customer=id_of(session.get("customer")),
        tax=tax_states.of_session(session),
        raw=redacted(session),
    )
    if inner is None:
        return result
    return replace(
        result,
        fee=inner.fee,
        failure=inner.failure if state is not PaymentState.SUCCEEDED else None,
        method=inner.method,
        paid_at=inner.paid_at,
        gateway_customer=result.gateway_customer or inner.gateway_customer,
    )


def _session_state(session: Fields, inner: PaymentResult | None) -> PaymentState:
    match session.get("status"), session.get("payment_status"):
        case "complete", "paid" | "no_payment_required":
            return PaymentState.SUCCEEDED
        case "complete", "unpaid":
            return _of_unpaid(inner)
        case "open", _:
            return PaymentState.REQUIRES_ACTION
        case "expired", _:
            return PaymentState.EXPIRED
        case _:
            raise Uncertain("Stripe's session has an unknown status.", gateway=NAME, code="unreadable")


def _of_unpaid(inner: PaymentResult | None) -> PaymentState:
    """The page is done and the money is not there: authorised only, on its way by a bank, or refused there."""
    if inner is None:
        return PaymentState.PENDING
    match inner.state:
        case PaymentState.AUTHORIZED | PaymentState.CANCELLED | PaymentState.FAILED | PaymentState.EXPIRED:
            return inner.state
        case PaymentState.REQUIRES_ACTION if inner.failure is not None:
            return PaymentState.FAILED  # nobody sees that page again
        case _:
            return PaymentState.PENDING


def of_intent(intent: Fields) -> PaymentResult:
    charge = part(intent.get("latest_charge"))
    ids = {"payment_intent": str(intent["id"])}
    if found := id_of(intent.get("latest_charge")):
        ids["charge"] = found
    balance = part(charge.get("balance_transaction"))
    failure = _failure(part(intent.get("last_payment_error")))
    state = _intent_state(intent, has_failed=failure is not None)
    currency = intent.get("currency")
    # Of an intent captured in part, what came in counts.
    amount = intent.get("amount_received") if state is PaymentState.SUCCEEDED else intent.get("amount")
    return PaymentResult(
        state=state,
        ids=ids,
        amount=from_wire(amount, currency),
        fee=from_wire_or_none(balance.get("fee"), balance.get("currency")),
        next_action=_next_action(part(intent.get("next_action"))) if state is PaymentState.REQUIRES_ACTION else None,
        failure=failure if state is not PaymentState.SUCCEEDED else None,
        method=saved_method(intent.get("payment_method"), part(charge.get("payment_method_details"))),
        gateway_customer=id_of(intent.get("customer")),
        paid_at=moment(charge.get("created")) if state is PaymentState.SUCCEEDED else None,
        raw=redacted(intent),
    )


STATES = {
    "requires_payment_method": PaymentState.REQUIRES_ACTION,
    "requires_action": PaymentState.REQUIRES_ACTION,
    "requires_confirmation": PaymentState.CREATED,
    "processing": PaymentState.PENDING,
    "requires_capture": PaymentState.AUTHORIZED,
    "succeeded": PaymentState.SUCCEEDED,
}


def _intent_state(intent: Fields, *, has_failed: bool) -> PaymentState:
    status = intent.get("status")
    if status == "canceled":
        return _of_cancelled(intent, has_failed=has_failed)
    if status not in STATES:
        raise Uncertain("Stripe's payment intent has an unknown status.", gateway=NAME, code="unreadable")
    # Nobody can choose another card for it; elsewhere a refused card is not the end.
    is_of_one_card = part(intent.get("metadata")).get("flow") in (OFF_SESSION, ON_SESSION)
    if status == "requires_payment_method" and is_of_one_card and has_failed:
        return PaymentState.FAILED
    return STATES[status]


def _of_cancelled(intent: Fields, *, has_failed: bool) -> PaymentState:
    match intent.get("cancellation_reason"):
        case "expired" | "automatic":
            return PaymentState.EXPIRED
        case "requested_by_customer" | "abandoned" | "duplicate" | "fraudulent":
            return PaymentState.CANCELLED
        case _:
            return PaymentState.FAILED if has_failed else PaymentState.CANCELLED


def _next_action(action: Fields) -> NextAction | None:
    url = str(part(action.get("redirect_to_url")).get("url") or "")
    return NextAction(type=Flow.REDIRECT, url=url) if url else None


def _failure(error: Fields) -> Failure | None:
    if not error:
        return None
    code = str(error.get("decline_code") or error.get("code") or "")
    return Failure(
        category=category_of(code, FailureCategory.PAYER_DECLINED),
        code=code,
        message=redacted_text(str(error.get("message") or "")),
    )


def saved_method(method: object, details: Fields) -> SavedMethod | None:
    """The method that paid. Whether it may be charged again, `save_method` of the request decided."""
    found = id_of(method)
    if not found:
        return None
    described = {**part(method), **details}
    kind = str(described.get("type") or "")
    card = part(described.get("card"))
    month, year = card.get("exp_month"), card.get("exp_year")
    return SavedMethod(
        id=found,
        kind=kind,
        brand=str(card.get("brand") or ""),
        last4=str(card.get("last4") or ""),
        expires=f"{month:02d}/{year}" if isinstance(month, int) and isinstance(year, int) else "",
    )


def with_action(result: PaymentResult, action: NextAction) -> PaymentResult:
    return replace(result, next_action=action) if result.state is PaymentState.REQUIRES_ACTION else result


def cancelled(result: PaymentResult) -> PaymentResult:
    return replace(result, state=PaymentState.CANCELLED, next_action=None)
