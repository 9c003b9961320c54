"""Credits for a code alone: no payment, and once as often as the coupon allows."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import coupons, discounts, errors, metrics
from billing.models import Coupon, Redemption
from billing.models.coupons import CouponKind, RedemptionStatus
from credits import grants
from credits.models import GrantSource


@transaction.atomic
def redeem(*, user: User, code: str) -> Redemption:
    """The use and the credits come together, or not at all. Given for nothing, they burn before what was paid for."""
    found = coupons.find(code)
    if found.kind != CouponKind.GIFT:
        raise errors.CouponNeedsPurchase
    coupon = coupons.lock(user, found, gives=found.unit)
    coupons.refuse_limits(coupon, user)
    terms, now = discounts.terms_of(coupon), timezone.now()
    Coupon.objects.filter(pk=coupon.pk).update(used=F("used") + 1)
    redemption = Redemption.objects.create(
        coupon=coupon, user=user, terms=terms.as_json(), status=RedemptionStatus.REDEEMED, redeemed_at=now
    )
    days = terms.credits_expire_after_days
    grants.issue(
        user=user,
        amount=terms.credits,
        source=GrantSource.PROMOTION,
        key=f"redemption:{redemption.pk}",
        unit=terms.unit,
        expires_at=now + timedelta(days=days) if days else None,
        reason=terms.code,
    )
    metrics.redemption("redeemed", coupon.kind)
    return redemption
