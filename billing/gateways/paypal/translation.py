"""Between our dataclasses and PayPal's JSON: pure, nothing is asked here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import (
    AmountRule,
    CheckoutRequest,
    DestinationKind,
    Failure,
    Flow,
    NextAction,
    PaymentResult,
    PaymentState,
    PayoutRequest,
    PayoutResult,
    PayoutState,
    RefundRequest,
    RefundResult,
    RefundState,
)
from billing.gateways.errors import FailureCategory
from billing.gateways.http import Reply
from billing.gateways.paypal import errors
from billing.gateways.redaction import redacted
from ledger.money import Money

APPROVAL_WINDOW = timedelta(hours=3)
LONGEST_TEXT = 127
LONGEST_NOTE = 255
WHOLE = AmountRule(minimum_minor=100, step_minor=100, wire_exponent=0)
WITH_DECIMALS = (
    *("AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "MXN", "NOK", "NZD", "PHP", "PLN", "SEK"),
    *("SGD", "THB", "USD"),
)
# The forint and the Taiwan dollar have no decimals at PayPal, the yen has none anywhere.
CURRENCIES = {**dict.fromkeys(WITH_DECIMALS, AmountRule()), "JPY": AmountRule(), "HUF": WHOLE, "TWD": WHOLE}


# ---------------------------------------------------------------- to them


def _money_to_them(amount: Money, name_of_currency: str = "currency_code") -> dict[str, str]:
    return {name_of_currency: amount.unit, "value": amounts.to_text(amount, CURRENCIES[amount.unit])}


def order_to_them(request: CheckoutRequest, brand_name: str) -> dict[str, Any]:
    unit: dict[str, Any] = {
        "reference_id": request.reference,
        "custom_id": request.reference,
        "invoice_id": request.reference,
        "description": request.description[:LONGEST_TEXT] or "Payment",
        "amount": _money_to_them(request.amount),
    }
    if _adds_up(request):
        unit["amount"]["breakdown"] = {"item_total": _money_to_them(request.amount)}
        unit["items"] = [
            {
                "name": line.name[:LONGEST_TEXT],
                "quantity": str(line.quantity),
                "unit_amount": _money_to_them(line.unit_price),
                **({"description": line.description[:LONGEST_TEXT]} if line.description else {}),
            }
            for line in request.lines
        ]
    context = {
        "return_url": request.success_url,
        "cancel_url": request.cancel_url,
        "user_action": "PAY_NOW",
        "landing_page": "NO_PREFERENCE",
        "shipping_preference": "NO_SHIPPING",
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
        "locale": "fr-FR" if request.buyer.locale.startswith("fr") else "en-US",
    }
    if brand_name:
        context["brand_name"] = brand_name[:LONGEST_TEXT]
    return {
        "intent": "CAPTURE",
        "purchase_units": [unit],
        "payment_source": {"paypal": {"experience_context": context}},
    }


def _adds_up(request: CheckoutRequest) -> bool:
    """PayPal refuses lines that are not exactly the amount; the amount alone is always right."""
    if not request.lines or any(line.unit_price.unit != request.amount.unit for line in request.lines):
        return False
    if any(line.unit_price.minor < 0 or line.quantity < 1 for line in request.lines):
        return False
    step = amounts.step(CURRENCIES[request.amount.unit], request.amount.unit)
    if any(line.unit_price.minor % step for line in request.lines):
        return False
    return sum(line.quantity * line.unit_price.minor for line in request.lines) == request.amount.minor


def refund_to_them(request: RefundRequest) -> dict[str, Any]:
    # PayPal copies custom_id from the capture to the refund; the invoice is what makes this refund ours.
    body: dict[str, Any] = {
        "amount": _money_to_them(request.amount),
        "invoice_id": request.reference,
        "custom_id": request.payment.reference,
    }
    return body | ({"note_to_payer": request.reason[:LONGEST_NOTE]} if request.reason else {})


def payout_to_them(request: PayoutRequest) -> dict[str, Any]:
    kind = "EMAIL" if request.destination.kind is DestinationKind.EMAIL else "PAYPAL_ID"
    item: dict[str, Any] = {
        "recipient_type": kind,
        "amount": _money_to_them(request.amount, "currency"),
        "receiver": request.destination.value,
        "sender_item_id": request.reference,
    }
    if request.description:
        item["note"] = request.description[:LONGEST_NOTE]
    return {
        "sender_batch_header": {"sender_batch_id": request.reference, "recipient_type": kind},
        "items": [item],
    }


# ---------------------------------------------------------------- from them

ORDER_STATES = {
    "CREATED": PaymentState.REQUIRES_ACTION,
    "SAVED": PaymentState.REQUIRES_ACTION,
    "PAYER_ACTION_REQUIRED": PaymentState.REQUIRES_ACTION,
    "APPROVED": PaymentState.AUTHORIZED,  # the buyer agreed: the money comes when we capture
    "VOIDED": PaymentState.CANCELLED,
}
CAPTURE_STATES = {
    "COMPLETED": PaymentState.SUCCEEDED,
    "PARTIALLY_REFUNDED": PaymentState.SUCCEEDED,
    "REFUNDED": PaymentState.SUCCEEDED,
    "PENDING": PaymentState.PENDING,
    "DECLINED": PaymentState.FAILED,
    "FAILED": PaymentState.FAILED,
}
REFUND_STATES = {
    "COMPLETED": RefundState.SUCCEEDED,
    "PENDING": RefundState.PENDING,
    "FAILED": RefundState.FAILED,
    "CANCELLED": RefundState.CANCELLED,
}
BATCH_STATES = {
    "PENDING": PayoutState.PENDING,
    "PROCESSING": PayoutState.IN_TRANSIT,
    "SUCCESS": PayoutState.IN_TRANSIT,  # processed, which says nothing of the item
    "DENIED": PayoutState.FAILED,
    "CANCELED": PayoutState.CANCELLED,
}
ITEM_STATES = {
    "SUCCESS": PayoutState.PAID,
    "FAILED": PayoutState.FAILED,
    "BLOCKED": PayoutState.FAILED,
    "PENDING": PayoutState.PENDING,
    "ONHOLD": PayoutState.PENDING,
    "UNCLAIMED": PayoutState.UNCLAIMED,
    "RETURNED": PayoutState.RETURNED,
    "REFUNDED": PayoutState.RETURNED,
    "REVERSED": PayoutState.RETURNED,
}


def _money(fields: Any, name_of_currency: str = "currency_code") -> Money:
    return amounts.read(fields["value"], fields[name_of_currency])


def payments_of(order: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = order["purchase_units"][0].get("payments", {})
    return found


def payment_from_them(reply: Reply, reference: str) -> PaymentResult:
    order = reply.fields()
    with reply.understood():
        unit = order["purchase_units"][0]
        if unit.get("custom_id", reference) != reference:
            raise reply.uncertain("PayPal answered with another payment's order.", code="reference_mismatch")
        ids = {"order": str(order["id"])}
        payments = payments_of(order)
        if captures := payments.get("captures"):
            # The order may be COMPLETED while its capture is pending or declined: only the capture counts.
            latest = next((each for each in captures if _is_paid(each)), captures[-1])
            return paid_or_not(latest, order, ids=ids)
        return PaymentResult(
            state=ORDER_STATES[order["status"]],
            ids=ids,
            amount=_money(unit["amount"]),
            next_action=_page(order.get("links", []), order.get("create_time")),
            raw=redacted(order),
        )


def _is_paid(captured: Mapping[str, Any]) -> bool:
    return CAPTURE_STATES.get(captured["status"]) is PaymentState.SUCCEEDED


def paid_or_not(captured: Mapping[str, Any], whole: Mapping[str, Any], *, ids: Mapping[str, str]) -> PaymentResult:
    state = CAPTURE_STATES[captured["status"]]
    amount = _money(captured["amount"])
    fee = captured.get("seller_receivable_breakdown", {}).get("paypal_fee")
    reason = str(captured.get("status_details", {}).get("reason", ""))
    return PaymentResult(
        state=state,
        ids={**ids, "capture": str(captured["id"])},
        amount=amount,
        fee=_money(fee) if fee else None,
        failure=Failure(category=FailureCategory.PAYER_DECLINED, code=reason or str(captured["status"]))
        if state is PaymentState.FAILED
        else None,
        paid_at=_moment(captured.get("create_time")) if state is PaymentState.SUCCEEDED else None,
        raw=redacted(whole),
    )


def _page(links: Sequence[Mapping[str, Any]], created: object) -> NextAction | None:
    url = next((link["href"] for link in links if link["rel"] in ("payer-action", "approve")), "")
    opened_at = _moment(created) or datetime.now(UTC)
    return NextAction(type=Flow.REDIRECT, url=url, expires_at=opened_at + APPROVAL_WINDOW) if url else None


def back_to_paypal(reply: Reply, issue: str) -> PaymentResult:
    """The buyer's card was refused, and PayPal lets them choose another on the same order."""
    fields = reply.fields_or_none()
    links = [link for link in fields.get("links", []) if isinstance(link, dict) and link.get("rel") == "redirect"]
    url = str(links[0].get("href", "")) if links else ""
    return PaymentResult(
        state=PaymentState.REQUIRES_ACTION,
        next_action=NextAction(type=Flow.REDIRECT, url=url) if url else None,
        failure=Failure(category=FailureCategory.PAYER_DECLINED, code=issue),
        raw=redacted(fields),
    )


def refund_from_them(reply: Reply, fields: Mapping[str, Any]) -> RefundResult:
    with reply.understood():
        state = REFUND_STATES[fields["status"]]
        reason = str(fields.get("status_details", {}).get("reason", ""))
        return RefundResult(
            state=state,
            ids={"refund": str(fields["id"])},
            amount=_money(fields["amount"]),
            failure=Failure(category=FailureCategory.UNKNOWN, code=reason) if state is RefundState.FAILED else None,
            raw=redacted(fields),
        )


def batch_from_them(reply: Reply) -> PayoutResult:
    fields = reply.fields()
    with reply.understood():
        header = fields["batch_header"]
        return PayoutResult(
            state=BATCH_STATES[header["batch_status"]],
            ids={"batch": str(header["payout_batch_id"])},
            raw=redacted(fields),
        )


def payout_from_them(reply: Reply, reference: str) -> PayoutResult:
    fields = reply.fields()
    with reply.understood():
        batch = batch_from_them(reply)
        item = next((each for each in fields.get("items", []) if _item_reference(each) == reference), None)
        if item is None or batch.state in (PayoutState.FAILED, PayoutState.CANCELLED):
            return batch
        state = ITEM_STATES[item.get("transaction_status", "PENDING")]
        error = str(item.get("errors", {}).get("name", ""))
        fee = item.get("payout_item_fee")
        return PayoutResult(
            state=state,
            ids={**batch.ids, "item": str(item["payout_item_id"])},
            amount=_money(item["payout_item"]["amount"], "currency"),
            fee=_money(fee, "currency") if fee else None,
            failure=Failure(category=errors.category_of_item(error), code=error) if error else None,
            raw=redacted(fields),
        )


def _item_reference(item: Mapping[str, Any]) -> str:
    return str(item["payout_item"].get("sender_item_id", ""))


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
