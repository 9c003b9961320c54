"""Credits that an operator gives by hand: one without the right to adjust gives a customer only so many in a day."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from credits import errors, grants, purses
from credits.models import Grant, GrantSource
from ledger.ids import first_at
from ledger.money import CREDIT


@transaction.atomic
def give(
    *,
    user: User,
    amount: int,
    source: GrantSource,
    key: str,
    reason: str,
    unit: str = CREDIT,
    expires_at: datetime | None = None,
    by: User | None = None,
) -> Grant:
    """Give credits once: the same key returns the grant that it made, also to who may give no more by now."""
    if by is not None and not by.has_perm("credits.adjust_credits"):
        purses.lock(user, unit)  # else two gifts at once each see a day without the other
        _refuse_beyond_ones_own(by, user, unit, amount, key)
    return grants.issue(
        user=user, amount=amount, source=source, key=key, unit=unit, expires_at=expires_at, reason=reason, by=by
    )


def _refuse_beyond_ones_own(by: User, user: User, unit: str, amount: int, key: str) -> None:
    """A large gift in small pieces is a large one: those of a day count together."""
    mine = Grant.objects.of(user, unit).filter(issued_by=by)
    if mine.filter(account__name=f"grant:{key}").exists():
        return  # sent twice: nothing more is given
    lately = mine.filter(entry_id__gte=first_at(timezone.now() - timedelta(days=1)))
    given = lately.aggregate(sum=Sum("amount", default=0))["sum"]
    if given + amount > settings.CREDITS_ISSUE_ALONE:
        raise errors.IssueTooLarge(settings.CREDITS_ISSUE_ALONE)
