"""What becomes of a use of a coupon: paid for, given back, or given back after all.

Each is called in the transaction of what it follows from, and may be called again.
"""

from uuid import UUID

from django.db.models import F
from django.utils import timezone

from billing import metrics
from billing.models import Coupon, Payment, Redemption, Subscription
from billing.models.coupons import RedemptionStatus
from billing.models.subscriptions import SubscriptionStatus


def paid(payment: Payment) -> None:
    """A payment with a coupon has come: its use stands. Paid late, it is taken again where there is room."""
    if payment.redemption_id is None:
        return
    metrics.discount(payment.discount)
    _redeem(_locked(payment.redemption_id))


def subscription_paid(subscription: Subscription) -> None:
    """Its gateway says so, and no payment of ours came of it: its use stands as with one."""
    known = Redemption.objects.filter(subscription=subscription).values_list("pk", flat=True).first()
    if known is not None:
        _redeem(_locked(known))


def _redeem(redemption: Redemption) -> None:
    if redemption.status == RedemptionStatus.REDEEMED:
        return
    if redemption.status != RedemptionStatus.RESERVED:
        _take_again(redemption)
    redemption.status, redemption.ended_at = RedemptionStatus.REDEEMED, None
    redemption.redeemed_at = redemption.redeemed_at or timezone.now()
    redemption.save(update_fields=["status", "counts", "redeemed_at", "ended_at"])
    metrics.redemption("redeemed", redemption.coupon.kind)


def payment_over(payment: Payment) -> None:
    """Nobody paid: the use is free again, unless a subscription that goes on can still use it."""
    if payment.redemption_id is None:
        return
    redemption = _locked(payment.redemption_id)
    held_by = redemption.subscription
    if held_by is None or held_by.status == SubscriptionStatus.INCOMPLETE:
        _release(redemption, RedemptionStatus.RESERVED, RedemptionStatus.RELEASED)


def subscription_over(subscription: Subscription) -> None:
    """It ended before any payment of it."""
    known = Redemption.objects.filter(subscription=subscription).values_list("pk", flat=True).first()
    if known is not None:
        _release(_locked(known), RedemptionStatus.RESERVED, RedemptionStatus.RELEASED)


def refunded(payment: Payment) -> None:
    """All of its money has gone back: the use is free again where the coupon says so. A subscription has used it."""
    if payment.redemption_id is None:
        return
    redemption = _locked(payment.redemption_id)
    if redemption.subscription_id is None and redemption.coupon.returns_after_refund:
        _release(redemption, RedemptionStatus.REDEEMED, RedemptionStatus.RETURNED)


def refund_came_back(payment: Payment) -> None:
    """The money is ours after all, and so the use is theirs."""
    if payment.redemption_id is None:
        return
    redemption = _locked(payment.redemption_id)
    if redemption.status == RedemptionStatus.RETURNED:
        _take_again(redemption)
        redemption.status, redemption.ended_at = RedemptionStatus.REDEEMED, None
        redemption.save(update_fields=["status", "counts", "ended_at"])


# ---------------------------------------------------------------- locks and counts


def _locked(redemption_id: UUID) -> Redemption:
    rows = Redemption.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("coupon", "subscription").get(pk=redemption_id)


def _release(redemption: Redemption, before: RedemptionStatus, after: RedemptionStatus) -> None:
    if redemption.status != before:
        return
    if redemption.counts:
        Coupon.objects.filter(pk=redemption.coupon_id).update(used=F("used") - 1)
    redemption.status, redemption.counts, redemption.ended_at = after, False, timezone.now()
    redemption.save(update_fields=["status", "counts", "ended_at"])
    metrics.redemption(str(after), redemption.coupon.kind)


def _take_again(redemption: Redemption) -> None:
    """Whoever has paid keeps what they paid for; only where the coupon is used up meanwhile it is not counted."""
    coupon = Coupon.objects.select_for_update(no_key=True).get(pk=redemption.coupon_id)
    redemption.counts = coupon.limit is None or coupon.used < coupon.limit
    if redemption.counts:
        Coupon.objects.filter(pk=coupon.pk).update(used=F("used") + 1)
