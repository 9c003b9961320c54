"""Every type has a shape, every shape an example that fits it, and wrong data fails here rather than at a customer."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from events import outbox, reference, shapes
from events.models import Event
from events.types import EventType

LOW: dict[str, Any] = {"unit": "CREDIT", "available": 3, "version": 7}


@pytest.fixture
def user(db) -> User:
    return User.objects.create(username="ada")


def test_every_type_has_a_shape_and_every_shape_a_type() -> None:
    recorded = {name for (name, _version), shape in shapes.SHAPES.items() if not shape.is_streamed_only}
    assert recorded == set(EventType.values)
    assert shapes.BALANCE not in EventType.values


@pytest.mark.parametrize(("name", "version"), shapes.SHAPES)
def test_example_fits_its_own_schema(name: str, version: int) -> None:
    shapes.check(name, shapes.SHAPES[name, version].example, version)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"available": "3"}, "$.available breaks type"),
        ({"version": -1}, "$.version breaks minimum"),
        ({"unit": ""}, "$.unit breaks minLength"),
        ({"name": "Ada"}, "$ breaks additionalProperties"),
    ],
)
def test_wrong_data_is_refused_and_nothing_is_recorded(user: User, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(shapes.WrongData) as refusal:
        outbox.record(user=user, type=EventType.CREDITS_LOW, data=LOW | change)
    assert refusal.value.faults == [fault]
    assert not Event.objects.exists()


def test_missing_field_is_refused(user: User) -> None:
    with pytest.raises(shapes.WrongData, match="breaks required"):
        outbox.record(user=user, type=EventType.CREDITS_LOW, data={"unit": "CREDIT"})


def test_fault_never_quotes_the_data() -> None:
    with pytest.raises(shapes.WrongData) as refusal:
        shapes.check("credits.low", LOW | {"available": "secret"})
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("when", ["2026-12-01", "2026-12-01T09:00:00", "soon"])
def test_time_needs_its_offset(when: str) -> None:
    data = shapes.SHAPES["credits.expiring", 1].example
    with pytest.raises(shapes.WrongData, match="expires_at breaks format"):
        shapes.check("credits.expiring", {**data, "expires_at": when})


def test_values_of_python_are_checked_as_they_will_be_told(user: User) -> None:
    data = {"grant": uuid.uuid4(), "unit": "CREDIT", "amount": 5, "expires_at": datetime(2027, 1, 1, tzinfo=UTC)}
    event = outbox.record(user=user, type=EventType.CREDITS_EXPIRING, data=data)
    event.refresh_from_db()
    assert event.data == data | {"grant": str(data["grant"]), "expires_at": "2027-01-01T00:00:00Z"}


def test_unknown_version_is_refused(user: User) -> None:
    with pytest.raises(shapes.UnknownShape):
        outbox.record(user=user, type=EventType.CREDITS_LOW, data=LOW, version=2)
    assert not Event.objects.exists()


def test_production_records_and_logs_what_breaks_its_schema(user: User, settings, caplog) -> None:
    settings.PRODUCTION = True
    outbox.record(user=user, type=EventType.CREDITS_LOW, data=LOW | {"more": 1})
    assert Event.objects.get().data == LOW | {"more": 1}
    assert [record.msg for record in caplog.records] == ["event.misshapen"]


def test_database_refuses_a_type_that_nobody_knows(user: User) -> None:
    with pytest.raises(IntegrityError, match="event_type_known"), transaction.atomic():
        Event.objects.create(user=user, type="credits.lost", data={})


def test_documentation_says_what_the_shapes_say() -> None:
    text = (settings.BASE_DIR / "docs" / "events.md").read_text()
    assert reference.inserted(text) == text, "run: python3 manage.py write_event_reference"
