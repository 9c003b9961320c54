"""What a change within a period was calculated from: it is done only while all of that is still so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from billing import plan_worth
from billing.models import Payment, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    price: int
    paid_until: datetime | None  # None: not told by payments that were begun before this was kept
    returned: int | None = None  # of what was paid for it; None: the same

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        returned = plan_worth.returned(subscription)
        return cls(price=subscription.price_id, paid_until=subscription.paid_until, returned=returned)

    @classmethod
    def of_payment(cls, payment: Payment) -> Self:
        """As it was frozen when the payment was begun."""
        said = payment.details.get("paid_until")
        until = datetime.fromisoformat(said) if said else None
        return cls(price=payment.details["from_price"], paid_until=until, returned=payment.details.get("returned"))

    def as_json(self) -> dict[str, Any]:
        until = self.paid_until.isoformat() if self.paid_until else None
        return {"from_price": self.price, "paid_until": until, "returned": self.returned}

    def stands(self, subscription: Subscription) -> bool:
        """The time left is what is paid for: a renewal in between makes it longer, and the change dearer. So does money
        that goes back meanwhile."""
        if self.price != subscription.price_id or self.paid_until not in (None, subscription.paid_until):
            return False
        return self.returned is None or plan_worth.returned(subscription) <= self.returned
