"""Money out: to connected accounts by transfer, and to a bank of the shop's own by payout."""

from typing import Any

from billing.gateways import amounts
from billing.gateways.base import DestinationKind, Failure, PayoutRef, PayoutRequest, PayoutResult, PayoutState
from billing.gateways.errors import Declined, FailureCategory, Uncertain
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.stripe.client import NAME, Connected, Fields, category_of, checked, reference_of
from billing.gateways.stripe.currencies import from_wire, to_wire
from billing.gateways.stripe.payments import MISSING

STATES = {
    "pending": PayoutState.PENDING,
    "in_transit": PayoutState.IN_TRANSIT,
    "paid": PayoutState.PAID,
    "failed": PayoutState.FAILED,
    "canceled": PayoutState.CANCELLED,
}


class PayingOut(Connected):
    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        destination = request.destination.value
        if request.destination.kind is not DestinationKind.ACCOUNT:
            raise Declined(
                "Stripe pays out to connected accounts and to the shop's own bank only.",
                gateway=NAME,
                category=FailureCategory.NOT_SUPPORTED,
                code="destination_not_supported",
            )
        amounts.require(request.amount, self.capabilities.payout_currencies, gateway=self.name)
        params: Any = {
            "amount": to_wire(request.amount),
            "currency": request.amount.unit.lower(),
            "destination": destination,
            "metadata": {"reference": request.reference},
            **({"description": request.description} if request.description else {}),
        }
        options: Any = {"idempotency_key": f"{request.reference}:payout"}
        if destination.startswith("acct_"):
            params["transfer_group"] = request.reference
            found = self.move(lambda: self.api.transfers.create(params, options))
            return _of_transfer(checked(found, "transfer"))
        found = self.move(lambda: self.api.payouts.create(params, options))
        return _of_payout(checked(found, "payout"))

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        transfer, sent = payout.ids.get("transfer", ""), payout.ids.get("payout", "")
        try:
            if transfer:
                return _of_transfer(checked(self.ask(lambda: self.api.transfers.retrieve(transfer)), "transfer"))
            if sent:
                return _of_payout(checked(self.ask(lambda: self.api.payouts.retrieve(sent)), "payout"))
        except Declined as error:
            if error.code != MISSING:
                raise
            return PayoutResult(state=PayoutState.NOT_FOUND)
        return self._look_up_payout(payout)

    def _look_up_payout(self, payout: PayoutRef) -> PayoutResult:
        def is_ours(found: Fields) -> bool:
            return reference_of(found) == payout.reference

        def transfers(params: Any) -> Any:
            return self.api.transfers.list(params)

        def payouts(params: Any) -> Any:
            return self.api.payouts.list(params)

        if found := self.search(transfers, is_ours, transfer_group=payout.reference):
            return _of_transfer(found)
        if found := self.search(payouts, is_ours, **self.window(payout.created_at)):
            return _of_payout(found)
        return PayoutResult(state=PayoutState.NOT_FOUND)


def _of_transfer(transfer: Fields) -> PayoutResult:
    """A transfer is paid when it exists: the money stands in the other account. It may be taken back whole."""
    return PayoutResult(
        state=PayoutState.RETURNED if transfer.get("reversed") is True else PayoutState.PAID,
        ids={"transfer": str(transfer["id"])},
        amount=from_wire(transfer.get("amount"), transfer.get("currency")),
        raw=redacted(transfer),
    )


def _of_payout(payout: Fields) -> PayoutResult:
    state = STATES.get(str(payout.get("status")))
    if state is None:
        raise Uncertain("Stripe's payout has an unknown status.", gateway=NAME, code="unreadable")
    code = str(payout.get("failure_code") or "")
    message = redacted_text(str(payout.get("failure_message") or ""))
    failure = Failure(category=category_of(code, FailureCategory.UNKNOWN), code=code, message=message)
    return PayoutResult(
        state=state,
        ids={"payout": str(payout["id"])},
        amount=from_wire(payout.get("amount"), payout.get("currency")),
        failure=failure if state is PayoutState.FAILED else None,
        raw=redacted(payout),
    )
