"""Figures of one customer's payments, by currency and by gateway."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Max, Q, Sum

from billing.models import Attempt, Payment
from billing.models.payments import AttemptState, PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one currency. The average is whole minor units, rounded down."""

    currency: str
    paid_count: int
    paid: int
    average: int
    last_paid_at: datetime | None
    by_status: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFigures:
    """Of the tries at one gateway in one currency."""

    gateway: str
    currency: str
    paid_count: int
    paid: int
    failed_count: int


def of(user: User, *, since: datetime | None = None, until: datetime | None = None) -> list[Figures]:
    rows = Payment.objects.of(user)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    paid = Q(status=PaymentStatus.SUCCEEDED)
    counts: dict[str, Any] = {f"is_{status}": Count("id", filter=Q(status=status)) for status in PaymentStatus.values}
    found: Any = rows.values("currency").annotate(
        paid=Sum("amount_minor", filter=paid), last=Max("ended_at", filter=paid), **counts
    )
    return [
        Figures(
            currency=row["currency"],
            paid_count=row["is_succeeded"],
            paid=row["paid"] or 0,
            average=(row["paid"] or 0) // row["is_succeeded"] if row["is_succeeded"] else 0,
            last_paid_at=row["last"],
            by_status={status: row[f"is_{status}"] for status in PaymentStatus.values if row[f"is_{status}"]},
        )
        for row in found.order_by("currency")
    ]


def by_gateway(user: User, *, since: datetime | None = None, until: datetime | None = None) -> list[GatewayFigures]:
    rows = Attempt.objects.filter(payment__user=user)
    if since is not None:
        rows = rows.filter(payment__created_at__gte=since)
    if until is not None:
        rows = rows.filter(payment__created_at__lt=until)
    paid = Q(state=AttemptState.SUCCEEDED)
    found: Any = rows.values("gateway", "payment__currency").annotate(
        paid_count=Count("id", filter=paid),
        paid=Sum("payment__amount_minor", filter=paid),
        failed_count=Count("id", filter=Q(state=AttemptState.FAILED)),
    )
    return [
        GatewayFigures(
            gateway=row["gateway"],
            currency=row["payment__currency"],
            paid_count=row["paid_count"],
            paid=row["paid"] or 0,
            failed_count=row["failed_count"],
        )
        for row in found.order_by("gateway", "payment__currency")
    ]
