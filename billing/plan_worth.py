"""What is there still of what was paid for a plan: periods in advance, and what has not gone back of their payments."""

from datetime import datetime

from billing.models import PaidPeriod, Subscription


def ahead(subscription: Subscription, at: datetime) -> list[PaidPeriod]:
    """The periods that are paid for and have not begun. Another interval has taken those that it met: what they were
    worth is a part of its own first period."""
    rows = subscription.paid_periods.select_related("payment__redemption")
    others = rows.exclude(price__interval=subscription.price.interval)
    if (last := others.order_by("-id").first()) is not None:
        rows = rows.filter(id__gt=last.pk)
    return list(rows.filter(starts_at__gt=at))
