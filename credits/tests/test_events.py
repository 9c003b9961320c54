"""The SQL functions of the credits write events themselves, so their data is held against the schemas here."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from credits import grants, holds, usage
from credits.tests.people import give, make_user
from events import shapes
from events.models import Event

pytestmark = pytest.mark.django_db


def test_whatever_the_credits_tell_has_the_shape_of_its_type() -> None:
    user, operator = make_user(), make_user()
    soon = timezone.now() + timedelta(hours=1)
    give(user, 100, expires_at=soon)
    grants.warn_of_expiry(timezone.now() + timedelta(days=1))
    usage.spend(user=user, amount=90, key="a")
    usage.spend(user=user, amount=10, key="b")
    held: dict[str, Any] = {"user": user, "key": "hold", "amount": 20, "reference": "job", "seconds": 60}
    give(user, 40)
    holds.reserve(**held)
    holds.expire_due(timezone.now() + timedelta(minutes=2))
    grants.adjust(user=user, amount=-5, reason="by hand", key="less", by=operator, unit="CREDIT")
    frozen = give(user, 30, expires_at=soon)
    grants.freeze(grant=frozen, reason="a dispute", by=operator)
    revoked = give(user, 7)
    grants.revoke(grant=revoked, reason="a mistake", by=operator)
    give(user, 9, expires_at=soon)
    grants.expire_due(timezone.now() + timedelta(hours=2))

    told = list(Event.objects.values_list("type", "data", "version"))
    for name, data, version in told:
        shapes.check(name, data, version)
    assert {name for name, _data, _version in told} == {
        "credits.granted",
        "credits.expiring",
        "credits.low",
        "credits.empty",
        "hold.expired",
        "credits.adjusted",
        "credits.expired",
    }
