"""What moved at Stripe, by its own lists: to be held against our books."""

from collections.abc import Sequence
from datetime import datetime

from billing.gateways.base import Movement, MovementKind
from billing.gateways.stripe.client import Connected, Fields, id_of, moment, part, reference_of
from billing.gateways.stripe.currencies import from_wire, from_wire_or_none

OVER = ("failed", "canceled")


class Moving(Connected):
    def movements(self, *, since: datetime, until: datetime) -> Sequence[Movement]:
        window = {"created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())}}
        charges = self.every(self.api.charges.list, expand=["data.balance_transaction"], **window)
        refunds = self.every(self.api.refunds.list, **window)
        paid = [each for each in charges if each.get("status") == "succeeded" and each.get("captured")]
        sent = [each for each in refunds if each.get("status") not in OVER]
        return [
            *(_movement(MovementKind.PAYMENT, each, "charge", each.get("amount_captured")) for each in paid),
            *(_movement(MovementKind.REFUND, each, "refund", each.get("amount")) for each in sent),
        ]


def _movement(kind: MovementKind, found: Fields, name: str, minor: object) -> Movement:
    ids = {name: str(found["id"])}
    if kind is MovementKind.PAYMENT and (intent := id_of(found.get("payment_intent"))):
        ids["payment_intent"] = intent
    balance = part(found.get("balance_transaction")) if kind is MovementKind.PAYMENT else {}
    return Movement(
        kind=kind,
        amount=from_wire(minor, found.get("currency")),
        reference=reference_of(found),
        ids=ids,
        at=moment(found.get("created")),
        fee=from_wire_or_none(balance.get("fee"), balance.get("currency")),
    )
