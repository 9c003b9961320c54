"""The SQL functions of the credits write events themselves, so their data is held against the schemas here."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
import redis
from django.db import transaction
from django.utils import timezone

from credits import grants, holds, usage
from credits.asked import Use
from credits.tests.people import give, make_user
from events import hints, shapes
from events.models import Event
from ledger.tests.races import PATIENCE_SECONDS

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


def test_streams_are_hinted_at_whose_standing_is_another(
    settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """And at whether there may be news: after most spends nobody need look for an event."""
    user = make_user()
    give(user, 100)
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(hints.channel())
        assert heard.get_message(timeout=PATIENCE_SECONDS) is None  # that it is subscribed, which is left out

        def has_news(act: Callable[[], Any]) -> bool:
            with django_capture_on_commit_callbacks(execute=True):
                done.append(act())
            while True:
                message = heard.get_message(timeout=PATIENCE_SECONDS)
                assert message is not None, "nobody was told"
                told = orjson.loads(message["data"])
                if told["users"] == [user.pk]:
                    return bool(told["has_news"])

        done: list[Any] = []
        assert not has_news(lambda: usage.spend(user=user, amount=50, key="a"))
        assert has_news(lambda: usage.spend(user=user, amount=40, key="b"))  # low now
        assert has_news(lambda: usage.reverse(spend=done[0].id, key="r1", amount=1))
        assert has_news(lambda: usage.reverse(spend=done[0].id, key="r2", amount=1, user=user))
        assert has_news(lambda: usage.spend_many([usage.Wish(user=user, use=Use(key="c", amount=1))]))


@pytest.mark.django_db(transaction=True)
def test_streams_are_hinted_at_each_customer_of_a_batch_that_commits_and_at_none_of_another(settings: Any) -> None:
    users = [make_user() for _ in range(3)]
    for user in users:
        give(user, 100)
    with redis.Redis.from_url(settings.REDIS_URL) as client, client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(hints.channel())
        assert heard.get_message(timeout=PATIENCE_SECONDS) is None  # that it is subscribed, which is left out

        def spend(key: str) -> None:
            usage.spend_many([usage.Wish(user=user, use=Use(key=f"{key}-{user.pk}", amount=1)) for user in users])

        def named_until(mark: int) -> set[int]:
            """Who was hinted at before that number, which is nobody's."""
            hints.changed(mark)
            named: set[int] = set()
            while mark not in named:
                message = heard.get_message(timeout=PATIENCE_SECONDS)
                assert message is not None, "nobody was told"
                named |= set(orjson.loads(message["data"])["users"])
            return named - {mark}

        named_until(-1)  # what the grants hint at
        with transaction.atomic():
            spend("lost")
            transaction.set_rollback(True)
        assert named_until(-2) == set()
        with transaction.atomic():
            spend("kept")
        assert named_until(-3) == {user.pk for user in users}
