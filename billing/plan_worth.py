"""What is there still of what was paid for a plan: periods in advance, and what has not gone back of their payments."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from django.db.models import F, Sum

from billing.models import Dispute, PaidPeriod, Refund, Subscription
from billing.models.payments import ASIDE
from billing.models.refunds import DisputeState, RefundOrigin

TICK = timedelta(microseconds=1)


def ahead(subscription: Subscription, at: datetime) -> list[PaidPeriod]:
    """The periods that are paid for and have not begun. Another interval has taken those that it met: what they were
    worth is a part of its own first period."""
    rows = subscription.paid_periods.select_related("payment__redemption")
    others = rows.exclude(price__interval=subscription.price.interval)
    if (last := others.order_by("-id").first()) is not None:
        rows = rows.filter(id__gt=last.pk)
    return list(rows.filter(starts_at__gt=at))


# ---------------------------------------------------------------- what has gone back


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What we still have of what was paid for the rest of the period under way, and for those in advance."""

    under_way: Fraction
    ahead: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """An amount for a time, of which every instant is worth the same."""

    minor: Fraction
    starts_at: datetime
    ends_at: datetime

    def left(self, at: datetime) -> Fraction:
        left = min(max(self.ends_at - at, timedelta()), self.ends_at - self.starts_at)
        return self.minor * Fraction(left // TICK, (self.ends_at - self.starts_at) // TICK)


def returned(subscription: Subscription) -> int:
    """How much has gone back of all that was paid for it, or may yet."""
    return sum(_returned(subscription).values())


def kept(subscription: Subscription, *, at: datetime, until: datetime) -> Kept | None:
    """Where money went back; None: nowhere, and every period is worth its price. The period under way is until then.

    Payments are spread over the time that they were for, each less what has gone back of it. A change was paid less for
    by what it credited, so that what went back before it is missing once, as what goes back after it is.
    """
    back = _returned(subscription)
    if not back:
        return None
    parts: list[_Paid] = []
    interval = ""
    for row in subscription.paid_periods.select_related("price").order_by("id"):
        if row.price.interval != interval:  # it took what was left, and spreads it over its own time
            carried = sum((part.left(row.starts_at) for part in parts), Fraction())
            parts, interval = [_Paid(minor=carried, starts_at=row.starts_at, ends_at=row.ends_at)], row.price.interval
        gone = back.get(row.payment_id, 0) if row.payment_id else 0
        minor = Fraction(max(row.amount_minor - gone, 0))
        parts.append(_Paid(minor=minor, starts_at=row.starts_at, ends_at=row.ends_at))
    later = sum((part.left(until) for part in parts), Fraction())
    return Kept(under_way=sum((part.left(at) for part in parts), Fraction()) - later, ahead=later)


def _returned(subscription: Subscription) -> dict[UUID, int]:
    """By payment: refunds that have arrived or are under way, and what a bank has taken back or holds."""
    mine = {"payment__paid_periods__subscription": subscription}
    refunds = Refund.objects.counted().filter(**mine).exclude(origin=RefundOrigin.SURPLUS)
    disputes = Dispute.objects.filter(**mine).exclude(state=DisputeState.WON).exclude(attempt__state__in=ASIDE)
    found: dict[UUID, int] = {}
    for rows in (refunds, disputes):
        for payment, minor in rows.values_list(F("payment"), Sum("amount_minor")).order_by():
            found[payment] = found.get(payment, 0) + minor
    return found
