"""Money back to buyers."""

from collections.abc import Sequence
from typing import Any

from billing.gateways import amounts
from billing.gateways.base import Failure, PaymentRef, RefundRef, RefundRequest, RefundResult, RefundState
from billing.gateways.errors import Declined, FailureCategory, Uncertain
from billing.gateways.redaction import redacted
from billing.gateways.stripe.client import NAME, PAGE, Fields, checked, part, reference_of
from billing.gateways.stripe.currencies import from_wire, to_wire
from billing.gateways.stripe.payments import MISSING, Payments

REASONS = frozenset({"duplicate", "fraudulent", "requested_by_customer"})
STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELLED,
}


class Refunding(Payments):
    def send_refund(self, request: RefundRequest) -> RefundResult:
        amounts.require(request.amount, amounts.any_size(self.capabilities.currencies), gateway=self.name)
        reason = request.reason if request.reason in REASONS else "requested_by_customer"
        params: Any = {
            "payment_intent": self._paid_intent(request.payment),
            "amount": to_wire(request.amount),
            "reason": reason,
            "metadata": {"reference": request.reference},
        }
        try:
            found = self.move(
                lambda: self.api.refunds.create(params, {"idempotency_key": f"{request.reference}:refund"})
            )
        except Declined:
            # Keys are forgotten after a day: it may be ours of then that left nothing to refund.
            known = self._find_refund(params["payment_intent"], request.reference)
            if known is not None:
                return known
            raise
        return _result(checked(found, "refund"))

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        known_id = refund.ids.get("refund", "")
        if not known_id:
            intent = refund.payment.ids.get("payment_intent") or self._paid_intent(refund.payment)
            return self._find_refund(intent, refund.reference) or RefundResult(state=RefundState.NOT_FOUND)
        try:
            return _result(checked(self.ask(lambda: self.api.refunds.retrieve(known_id)), "refund"))
        except Declined as error:
            if error.code != MISSING:
                raise
            return RefundResult(state=RefundState.NOT_FOUND)

    def list_refunds(self, payment: PaymentRef) -> Sequence[RefundResult]:
        """As many as one page has, the newest first."""
        params: Any = {"payment_intent": self._paid_intent(payment), "limit": PAGE}
        page = self.ask(lambda: self.api.refunds.list(params))
        return [_result(each) for each in page.get("data") or []]

    def _find_refund(self, intent: str, reference: str) -> RefundResult | None:
        def page(params: Any) -> Any:
            return self.api.refunds.list(params)

        found = self.search(page, lambda each: reference_of(each) == reference, payment_intent=intent)
        return _result(found) if found else None

    def _paid_intent(self, payment: PaymentRef) -> str:
        intent = payment.ids.get("payment_intent") or self.fetch_payment(payment).ids.get("payment_intent")
        if not intent:
            raise Declined(
                "Stripe knows no payment of this attempt.",
                gateway=NAME,
                category=FailureCategory.INVALID_REQUEST,
                code=MISSING,
            )
        return intent


def _result(refund: Fields) -> RefundResult:
    state = STATES.get(str(refund.get("status")))
    if state is None:
        raise Uncertain("Stripe's refund has an unknown status.", gateway=NAME, code="unreadable")
    code = str(refund.get("failure_reason") or "")
    failed = state in (RefundState.FAILED, RefundState.CANCELLED)
    return RefundResult(
        state=state,
        reference=reference_of(refund),
        ids={"refund": str(refund["id"])} | _named(refund, "payment_intent", "charge"),
        amount=from_wire(refund.get("amount"), refund.get("currency")),
        failure=Failure(category=_category(code), code=code) if failed else None,
        raw=redacted(refund),
    )


def _named(found: Fields, *names: str) -> dict[str, str]:
    return {name: str(part(found.get(name)).get("id") or found[name]) for name in names if found.get(name)}


def _category(code: str) -> FailureCategory:
    match code:
        case "insufficient_funds":
            return FailureCategory.INSUFFICIENT_FUNDS
        case "lost_or_stolen_card" | "expired_or_canceled_card":
            return FailureCategory.INVALID_PAYER
        case "declined":
            return FailureCategory.PAYER_DECLINED
        case _:
            return FailureCategory.UNKNOWN
