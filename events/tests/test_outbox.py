"""Writing down what happened: whoever records it says times as times, and all are told alike."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.contrib.auth.models import User

from events import outbox
from events.models import Event
from events.types import EventType

MOMENT = datetime(2026, 12, 1, 9, 0, 0, 250, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("moment", [MOMENT, MOMENT.astimezone(timezone(timedelta(hours=1)))], ids=["utc", "local"])
def test_times_are_told_as_the_api_writes_them(moment: datetime) -> None:
    data = {"grant": "0190c6a4-5a3e-7c1b-9f3e-2b1a0c4d5e6f", "unit": "CREDIT", "amount": 5, "expires_at": moment}
    told = outbox.record(user=User.objects.create(username="a"), type=EventType.CREDITS_EXPIRING, data=data)
    assert told.data["expires_at"] == "2026-12-01T09:00:00.000250Z"
    assert Event.objects.get().data == told.data
