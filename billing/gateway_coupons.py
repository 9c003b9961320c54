"""Coupons at a gateway that renews by itself: each worth of ours is a coupon there, under an id that says which."""

import hashlib
from decimal import Decimal

import orjson

from billing import calling, errors
from billing.discounts import Terms
from billing.gateways import registry
from billing.gateways.subscribing import CouponRequest, KeepsCatalogue
from billing.models import PlanPrice
from billing.models.coupons import CouponDuration, CouponKind
from billing.models.plans import PlanInterval
from ledger.money import Money


def coupon_at(gateway: str, terms: Terms, price: PlanPrice) -> str:
    """The gateway's id of what these terms take off this price; none where they take nothing off."""
    if terms.kind not in (CouponKind.PERCENT, CouponKind.AMOUNT):
        return ""
    wanted = request(terms, price)
    adapter = registry.get(gateway)
    assert isinstance(adapter, KeepsCatalogue)  # noqa: S101 - a gateway that renews keeps what it renews
    calling.call(gateway, "coupon", lambda: adapter.put_coupon(wanted))
    return wanted.id


def request(terms: Terms, price: PlanPrice) -> CouponRequest:
    """A gateway never changes a coupon, so its id is made of all that it is: other terms are another coupon there."""
    months = None
    if terms.duration == CouponDuration.REPEATING:
        months = (terms.periods or 0) * PlanInterval(price.interval).months
        if not months:
            raise errors.CouponNotForThis  # gateways count in months, and a week is no part of one
    percent = terms.basis_points
    amount = Money(terms.amounts[price.currency], price.currency) if terms.kind == CouponKind.AMOUNT else None
    is_forever = terms.duration == CouponDuration.FOREVER
    said = [percent, amount.minor if amount else None, amount.unit if amount else None, months, is_forever]
    digest = hashlib.sha256(orjson.dumps(said)).hexdigest()[:10]
    return CouponRequest(
        id=f"{terms.code}-{digest}",
        name=terms.code,
        percent_off=Decimal(percent) / 100 if percent is not None else None,
        amount_off=amount,
        months=months,
        is_forever=is_forever,
    )
