"""What waits to be granted, told without granting it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Sum
from django.utils import timezone

from credits.models import GrantPeriod


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The due periods of one rule. `amount` is the most that they give: caps and missed periods may make it less."""

    rule: str
    unit: str
    periods: int
    customers: int
    amount: int
    oldest: datetime


def waiting(at: datetime | None = None) -> Sequence[Waiting]:
    rows = (
        GrantPeriod.objects.due(at or timezone.now())
        .order_by("rule", "unit")
        .values("rule", "unit")
        .annotate(
            periods=Count("id"),
            customers=Count("schedule__user", distinct=True),
            # `amount` is a field of the model already.
            most=Sum("amount"),
            oldest=Min("starts_at"),
        )
    )
    return [
        Waiting(
            rule=row["rule"],
            unit=row["unit"],
            periods=row["periods"],
            customers=row["customers"],
            amount=row["most"],
            oldest=row["oldest"],
        )
        for row in rows
    ]
