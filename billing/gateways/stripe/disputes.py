"""Chargebacks: what Stripe says of one, and what we say against it."""

import io
from typing import Any

from billing.gateways.errors import Uncertain
from billing.gateways.stripe.client import NAME, Connected, Fields, checked, id_of, moment, part
from billing.gateways.stripe.currencies import from_wire
from billing.gateways.subscribing import DisputeResult, DisputeState, EvidenceFile, EvidenceRequest

STATES = {
    "needs_response": DisputeState.NEEDS_RESPONSE,
    "under_review": DisputeState.UNDER_REVIEW,
    "warning_needs_response": DisputeState.WARNING,
    "warning_under_review": DisputeState.WARNING,
    "warning_closed": DisputeState.WARNING_CLOSED,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
    "prevented": DisputeState.PREVENTED,
}


class Disputing(Connected):
    def fetch_dispute(self, *, dispute: str) -> DisputeResult:
        return _result(checked(self.ask(lambda: self.api.disputes.retrieve(dispute)), "dispute"))

    def send_evidence(self, request: EvidenceRequest) -> DisputeResult:
        uploaded = {name: self._upload(file) for name, file in request.files.items()}
        params: Any = {"evidence": {**request.texts, **uploaded}, "submit": request.submit}
        # A file that is uploaded again is another one, and so are the words that name it.
        key = ":".join([request.reference, "evidence", *uploaded.values()])
        found = self.move(lambda: self.api.disputes.update(request.dispute, params, {"idempotency_key": key}))
        return _result(checked(found, "dispute"))

    def _upload(self, file: EvidenceFile) -> str:
        content = io.BytesIO(file.content)
        content.name = file.name
        params: Any = {"purpose": "dispute_evidence", "file": content}
        return str(checked(self.move(lambda: self.api.files.create(params)), "file")["id"])


def _result(found: Fields) -> DisputeResult:
    state = STATES.get(str(found.get("status")))
    if state is None:
        raise Uncertain("Stripe's dispute has an unknown status.", gateway=NAME, code="unreadable")
    details = part(found.get("evidence_details"))
    return DisputeResult(
        id=str(found["id"]),
        state=state,
        amount=from_wire(found.get("amount"), found.get("currency")),
        charge=id_of(found.get("charge")),
        payment_intent=id_of(found.get("payment_intent")),
        reason=str(found.get("reason") or ""),
        due_by=moment(details.get("due_by")),
    )
