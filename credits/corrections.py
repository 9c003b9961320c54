"""What an operator sets right in a calendar, with a reason: a period given once more, or taken back."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from credits import by_hand, errors, grants
from credits.models import Grant, GrantPeriod, GrantSchedule, GrantSource, PeriodState


@transaction.atomic
def grant_again(*, period: GrantPeriod, reason: str, key: str, by: User | None = None) -> Grant:
    """Give a period's credits once more, by hand, for example after a fault of ours. It lives as long from now on.
    For an operator it is a gift like any other."""
    if not reason.strip():
        raise errors.InvalidUse("reason", gettext_noop("Granting a period again needs a reason."))
    schedule = GrantSchedule.objects.select_related("user").get(pk=period.schedule_id)
    lasting = period.expires_at - period.starts_at if period.expires_at else None
    return by_hand.give(
        user=schedule.user,
        amount=period.amount,
        unit=period.unit,
        source=GrantSource.MANUAL,
        key=f"{schedule.reference}:{period.rule}:{period.number}:again:{key}",
        expires_at=timezone.now() + lasting if lasting else None,
        reason=reason,
        by=by,
    )


@transaction.atomic
def revoke_period(*, period: GrantPeriod, reason: str, by: User | None = None) -> int:
    """Take back what is left of a period's grant; returns how much that was. Twice takes nothing more."""
    if not reason.strip():
        raise errors.InvalidUse("reason", gettext_noop("Revoking a period needs a reason."))
    fresh = GrantPeriod.objects.select_related("grant").get(pk=period.pk)
    if fresh.grant is None:
        raise errors.InvalidUse("period", gettext_noop("Nothing was granted in this period."))
    GrantPeriod.objects.filter(pk=fresh.pk).update(state=PeriodState.REVOKED)
    return grants.revoke(grant=fresh.grant, reason=reason, by=by)
