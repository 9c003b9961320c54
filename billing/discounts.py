"""How much a coupon takes off a price. Pure: what is taken off and what is left sum to the price, whatever it is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from billing.models import Coupon
from billing.models.coupons import CouponDuration, CouponKind
from ledger.money import BASIS_POINTS, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a coupon is worth, as it is kept with each use of it."""

    code: str
    kind: str
    basis_points: int | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)  # minor units by currency
    duration: str = CouponDuration.ONCE.value
    periods: int | None = None
    credits: int = 0
    unit: str = ""
    credits_expire_after_days: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def payments(self) -> int | None:
        """Of how many payments of a subscription it takes something off; None: of all."""
        if self.duration == CouponDuration.FOREVER:
            return None
        return self.periods if self.duration == CouponDuration.REPEATING else 1


def terms_of(coupon: Coupon) -> Terms:
    return Terms(
        code=coupon.code,
        kind=str(coupon.kind),
        basis_points=coupon.basis_points,
        amounts={each.currency: each.amount_minor for each in coupon.amounts.all()},
        duration=str(coupon.duration),
        periods=coupon.periods,
        credits=coupon.credits,
        unit=coupon.unit,
        credits_expire_after_days=coupon.credits_expire_after_days,
    )


def takes(terms: Terms, currency: str) -> bool:
    """Whether it is worth something in this currency: one of amounts names the currencies that it knows."""
    return terms.kind != CouponKind.AMOUNT or currency in terms.amounts


def off(price: Money, terms: Terms, step: int = 1) -> Money:
    """What is taken off. What is left is rounded down to the step that the gateways take, but never to nothing.

    So a buyer pays at most what the coupon promises; where nothing is to be left, nothing is.
    """
    exact = _exact(price, terms)
    left = price.minor - exact.minor
    if exact.minor <= 0 or left <= 0:
        return exact
    return price - Money(max(left // step * step, min(step, price.minor)), price.unit)


def _exact(price: Money, terms: Terms) -> Money:
    if terms.kind == CouponKind.PERCENT and terms.basis_points is not None:
        if terms.basis_points >= BASIS_POINTS:
            return price
        # At least a unit is left of what is not given away whole, as of 0.01 € less 99 %.
        return min(price.share(terms.basis_points), Money(max(price.minor - 1, 0), price.unit))
    if terms.kind == CouponKind.AMOUNT:
        return min(Money(terms.amounts.get(price.unit, 0), price.unit), price)
    return Money(0, price.unit)
