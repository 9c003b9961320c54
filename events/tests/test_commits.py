"""What is sent when a transaction commits: not before, each its own, and nothing of what was rolled back."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import redis
from celery.signals import before_task_publish
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from events import dispatching, endpoints, sending
from events.models import Delivery, Event
from events.tests.receivers import Receiver
from rest.tests.callers import post, service

pytestmark = pytest.mark.django_db(transaction=True)
Tell = Callable[..., Event]
SEND = "events.tasks.send_deliveries"


def sent() -> list[str]:
    """The tasks that wait for a worker."""
    with redis.Redis.from_url(configured.REDIS_URL) as client:
        waiting = client.lrange(f"{configured.REDIS_PREFIX}default", 0, -1)
    return [orjson.loads(each)["headers"]["task"] for each in waiting]


@pytest.fixture
def delivered(user: User, receiver: Receiver, tell: Tell) -> Delivery:
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    sending.run()
    return Delivery.objects.get()


@pytest.fixture
def published() -> Iterator[list[tuple[str, bool]]]:
    """Each task that is sent, and whether what it is about may still be rolled back."""
    seen: list[tuple[str, bool]] = []

    def note(sender: str, **_: Any) -> None:
        seen.append((sender, connection.in_atomic_block))

    before_task_publish.connect(note)
    yield seen
    before_task_publish.disconnect(note)


def replay_one(delivered: Delivery, key: str | None) -> Any:
    return post(f"deliveries/{delivered.pk}/replay", service("manage_endpoints"), {}, key)


def replay_range(delivered: Delivery, key: str | None) -> Any:
    wish = {"since": (timezone.now() - timedelta(hours=1)).isoformat(), "also_delivered": True}
    return post(f"webhook-endpoints/{delivered.endpoint_id}/replay", service("manage_endpoints"), wish, key)


ACTS = pytest.mark.parametrize("act", [replay_one, replay_range])


@ACTS
@pytest.mark.parametrize("key", [None, "again"])
def test_replay_over_the_api_wakes_the_sender_once_it_is_committed(delivered, published, act, key) -> None:
    assert act(delivered, key).status_code == 202
    assert published == [(SEND, False)]
    assert sent().count(SEND) == 1
    delivered.refresh_from_db()
    assert delivered.state == "pending"


@ACTS
def test_replay_over_the_api_that_is_rolled_back_wakes_nobody(delivered, published, act) -> None:
    """The claim of its key is the last that is written, and the database refuses it."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE rest_idempotencyrecord ADD CONSTRAINT no_row CHECK (false) NOT VALID")
        try:
            assert act(delivered, "again").status_code == 500
        finally:
            cursor.execute("ALTER TABLE rest_idempotencyrecord DROP CONSTRAINT no_row")
    assert (published, sent().count(SEND)) == ([], 0)
    delivered.refresh_from_db()
    assert delivered.state == "delivered"


def test_events_of_one_transaction_are_told_each_with_its_own_words_when_it_commits(user: User, tell: Tell) -> None:
    with transaction.atomic():
        for left in (5, 4, 3):
            tell(user, available=left)
        assert sent() == []
    assert sent() == ["events.tasks.dispatch"]  # one look at the outbox finds them all
    assert list(Event.objects.order_by("id").values_list("data__available", flat=True)) == [5, 4, 3]


def test_events_that_are_rolled_back_wake_nobody_and_keep_nobody_from_being_woken(user: User, tell: Tell) -> None:
    with transaction.atomic():
        tell(user)
        transaction.set_rollback(True)
    assert (sent(), Event.objects.count()) == ([], 0)
    tell(user)
    assert sent() == ["events.tasks.dispatch"]
