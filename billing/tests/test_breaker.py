"""The circuit breaker, in Redis and in the database: what opens it, who may try, and what closes it."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from billing import breaker
from billing.breaker import CircuitOpen, DatabaseStore, RedisStore
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.models import BreakerState
from billing.routing import Health

DOWN = Uncertain("No reply.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)
NO = Declined("No.", gateway="stripe", category=FailureCategory.PAYER_DECLINED)
pytestmark = pytest.mark.django_db


@pytest.fixture(params=["redis", "database"])
def where(request: pytest.FixtureRequest, settings: Any) -> str:
    """Without a Redis the database is used; the tests below hold for both."""
    if request.param == "database":
        settings.REDIS_URL = ""
    return str(request.param)


def fail(times: int) -> None:
    for _ in range(times):
        breaker.note("stripe", DOWN)


def pause_ends(where: str) -> None:
    """The pause of an open breaker is over: what would happen by itself later."""
    if where == "redis":
        client().delete(f"{settings.REDIS_PREFIX}breaker:stripe:open")
    else:
        BreakerState.objects.update(open_until=timezone.now() - timedelta(seconds=1))


def pause_shrinks(where: str, *, seconds: int) -> None:
    if where == "redis":
        client().expire(f"{settings.REDIS_PREFIX}breaker:stripe:open", seconds)
    else:
        BreakerState.objects.update(open_until=timezone.now() + timedelta(seconds=seconds))


def client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL)


def state() -> Health:
    return breaker.states(["stripe"])["stripe"]


def test_four_failures_leave_it_closed(where: str) -> None:
    fail(4)
    breaker.admit("stripe")
    assert state() is Health.CLOSED


def test_the_fifth_failure_in_a_row_opens_it(where: str) -> None:
    fail(5)
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit("stripe")
    assert caught.value.gateway == "stripe"
    assert 28 <= (caught.value.retry_after_seconds or 0) <= 30
    assert state() is Health.OPEN


def test_an_answer_in_between_starts_the_count_again(where: str) -> None:
    fail(4)
    breaker.note("stripe", None)
    fail(4)
    assert state() is Health.CLOSED


def test_other_gateways_are_not_concerned(where: str) -> None:
    fail(5)
    breaker.admit("paypal")
    assert breaker.states(["paypal", "stripe"]) == {"paypal": Health.CLOSED, "stripe": Health.OPEN}


@pytest.mark.parametrize(
    "error",
    [
        NO,
        Unavailable("Wrong key.", gateway="stripe", category=FailureCategory.CONFIGURATION),
        CircuitOpen("stripe", 30),
    ],
)
def test_what_is_no_outage_never_opens_it(where: str, error: GatewayError) -> None:
    for _ in range(10):
        breaker.note("stripe", error)
    assert state() is Health.CLOSED


def test_after_the_pause_one_caller_may_try(where: str) -> None:
    fail(5)
    pause_ends(where)
    assert state() is Health.HALF_OPEN
    breaker.admit("stripe")
    with pytest.raises(CircuitOpen):
        breaker.admit("stripe")


def test_a_try_that_fails_opens_it_again_at_once(where: str) -> None:
    fail(5)
    pause_ends(where)
    breaker.admit("stripe")
    fail(1)
    assert state() is Health.OPEN
    pause_ends(where)
    breaker.admit("stripe")  # the next try is free again


def test_failures_of_what_was_under_way_neither_open_it_again_nor_prolong_its_pause(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    fail(5)
    pause_shrinks(where, seconds=5)
    fail(6)
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit("stripe")
    assert (caught.value.retry_after_seconds or 0) <= 5
    assert [record.message for record in caplog.records].count("gateway.breaker_opened") == 1


@pytest.mark.parametrize("answer", [None, NO])
def test_a_try_that_is_answered_closes_it(where: str, answer: GatewayError | None) -> None:
    fail(5)
    pause_ends(where)
    breaker.admit("stripe")
    breaker.note("stripe", answer)
    assert state() is Health.CLOSED
    fail(4)
    assert state() is Health.CLOSED


def test_old_failures_are_forgotten_in_redis() -> None:
    fail(4)
    assert 55 <= client().ttl(f"{settings.REDIS_PREFIX}breaker:stripe:failures") <= 60


def test_old_failures_are_forgotten_in_the_database(settings: Any) -> None:
    settings.REDIS_URL = ""
    fail(4)
    BreakerState.objects.update(window_until=timezone.now() - timedelta(seconds=1))
    fail(1)
    assert state() is Health.CLOSED
    assert BreakerState.objects.get().failures == 1


def test_while_redis_is_away_the_database_counts(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    fail(5)
    assert state() is Health.OPEN
    assert BreakerState.objects.get().open_until is not None


# ---------------------------------------------------------------- many at once


def run_together(number: int, store: RedisStore | DatabaseStore) -> Counter[bool]:
    """How many of so many callers at once were let in."""
    barrier = threading.Barrier(number)
    admitted: list[bool] = []

    def ask() -> None:
        barrier.wait(timeout=10)
        admitted.append(store.admit("stripe") is None)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return Counter(admitted)


@pytest.mark.django_db(transaction=True)
def test_of_eight_callers_at_once_one_tries(where: str) -> None:
    fail(5)
    pause_ends(where)
    store = RedisStore(client()) if where == "redis" else DatabaseStore()
    assert run_together(8, store) == {True: 1, False: 7}


@pytest.mark.django_db(transaction=True)
def test_the_race_is_real_without_the_lock(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing of the database."""
    settings.REDIS_URL = ""
    fail(5)
    pause_ends("database")
    together = threading.Barrier(8)
    usual = BreakerState.save

    def late(self: BreakerState, *args: object, **more: object) -> None:
        together.wait(timeout=10)
        usual(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(type(BreakerState.objects.all()), "select_for_update", lambda self, **_: self)
    monkeypatch.setattr(BreakerState, "save", late)
    assert run_together(8, DatabaseStore()) == {True: 8}
