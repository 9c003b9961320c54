"""What a gateway knows of every payment, refund and payout, in one shape for all five."""

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.clock import text

# payment: open (the buyer may still act), pending, authorized, paid, declined, cancelled, expired
# refund:  pending, paid, failed        payout: pending, paid, failed, returned


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a gateway's books: amounts in minor units of ISO 4217, whatever the wire says."""

    kind: str  # payment, refund or payout
    id: str
    reference: str  # what the shop called it
    amount_minor: int
    currency: str
    state: str
    gateway_state: str  # in the gateway's own words
    created_at: float
    updated_at: float
    parent_id: str = ""  # the payment that a refund gives back
    page_url: str = ""  # where the buyer acts

    def as_json(self) -> dict[str, Any]:
        times = {"created_at": text(self.created_at), "updated_at": text(self.updated_at)}
        return {**asdict(self), **times}
