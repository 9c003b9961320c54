"""What a change within a period was calculated from: it is done only while all of that is still so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from billing.models import Payment, Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    price: int
    paid_until: datetime | None  # None: not told by payments that were begun before this was kept

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        return cls(price=subscription.price_id, paid_until=subscription.paid_until)

    @classmethod
    def of_payment(cls, payment: Payment) -> Self:
        """As it was frozen when the payment was begun."""
        said = payment.details.get("paid_until")
        until = datetime.fromisoformat(said) if said else None
        return cls(price=payment.details["from_price"], paid_until=until)

    def as_json(self) -> dict[str, Any]:
        return {"from_price": self.price, "paid_until": self.paid_until.isoformat() if self.paid_until else None}

    def stands(self, subscription: Subscription) -> bool:
        """The time left is what is paid for: a renewal in between makes it longer, and the change dearer."""
        return self.price == subscription.price_id and self.paid_until in (None, subscription.paid_until)
