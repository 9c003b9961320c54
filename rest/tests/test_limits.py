"""Counting: exact for small limits, in leases for large ones, never above the limit, and open when Redis is away."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import time_machine
from django.conf import settings as configured
from prometheus_client import REGISTRY

from rest import limits
from rest.limits import Limit, Meter, Outcome

START = 1_800_000_000  # a whole number of minutes and of quarters


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def trips(monkeypatch) -> list[str]:
    """Every command that goes to Redis on the counting client."""
    seen: list[str] = []
    client: Any = limits.connected(configured.REDIS_URL, configured.THROTTLE_REDIS_TIMEOUT_SECONDS)
    send: Any = redis.Connection.send_packed_command
    sends = type(client.connection_pool.make_connection())

    def note(self: Any, command: Any, check_health: bool = True) -> Any:
        seen.append(b" ".join(command if isinstance(command, list) else [command]).split(b"\r\n")[2].decode())
        return send(self, command, check_health)

    client.ping()  # the greeting of a new connection is not counted
    monkeypatch.setattr(sends, "send_packed_command", note)
    return seen


def allowed(outcomes: list[Outcome]) -> int:
    return sum(outcome.allowed for outcome in outcomes)


@pytest.mark.parametrize(
    ("text", "limit", "lease"),
    [
        ("100/15m", Limit(100, 900), 1),
        ("600/1m", Limit(600, 60), 6),
        ("60000/1m", Limit(60_000, 60), 600),
        ("1/1s", Limit(1, 1), 1),
        ("10000000/1d", Limit(10_000_000, 86_400), 1_000),
    ],
)
def test_limits_are_written_as_people_say_them(text: str, limit: Limit, lease: int) -> None:
    assert limits.parse(text) == limit
    assert limit.lease == lease


@pytest.mark.parametrize(
    "text", ["", "100", "100/m", "0/1m", "100/0m", "100/15", "-1/1m", "1e3/1m", "100/15m ", "٣/1m"]
)
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="100/15m"):
        limits.parse(text)


def test_a_small_limit_is_exact_over_several_processes(clock) -> None:
    limit, processes = Limit(5, 900), [Meter(), Meter()]
    clock.shift(299.5)
    outcomes = [processes[number % 2].take("alice", limit) for number in range(8)]
    assert [outcome.allowed for outcome in outcomes] == [True] * 5 + [False] * 3
    assert [outcome.remaining for outcome in outcomes] == [4, 3, 2, 1, 0, 0, 0, 0]
    assert {outcome.reset_seconds for outcome in outcomes} == {601}


def test_a_new_window_starts_anew(clock) -> None:
    meter, limit = Meter(), Limit(2, 60)
    assert allowed([meter.take("alice", limit) for _ in range(3)]) == 2
    clock.shift(59)
    assert allowed([meter.take("alice", limit) for _ in range(3)]) == 0
    clock.shift(1)
    assert allowed([meter.take("alice", limit) for _ in range(3)]) == 2


def test_identities_do_not_share(clock) -> None:
    meter, limit = Meter(), Limit(1, 60)
    assert [meter.take(who, limit).allowed for who in ("alice", "bob", "alice", "bob")] == [True, True, False, False]


def test_leases_spare_trips_and_never_exceed_the_limit(clock, trips: list[str]) -> None:
    meter, limit = Meter(), Limit(600, 60)
    outcomes = [meter.take("alice", limit) for _ in range(605)]
    assert allowed(outcomes) == 600
    assert [outcome.remaining for outcome in outcomes[:600]] == list(range(599, -1, -1))
    # A hundred leases of six, one vain try, and then the process knows by itself.
    assert Counter(trips) == {"INCRBY": 101}


def test_an_unused_lease_is_lost_to_the_others_and_no_more_than_that(clock) -> None:
    limit, idle, busy = Limit(600, 60), Meter(), Meter()
    assert idle.take("alice", limit).allowed
    assert allowed([busy.take("alice", limit) for _ in range(700)]) == 594
    assert allowed([idle.take("alice", limit) for _ in range(700)]) == 5


def test_the_last_lease_is_cut_to_what_is_left(clock) -> None:
    meter, limit = Meter(), Limit(205, 60)
    assert limit.lease == 2
    assert allowed([meter.take("alice", limit) for _ in range(300)]) == 205


@pytest.mark.parametrize("limit", [Limit(40, 60), Limit(400, 60)])
def test_threads_of_several_processes_share_exactly(clock, limit: Limit) -> None:
    meters = [Meter(), Meter()]
    start = threading.Barrier(8)
    counts: list[int] = []

    def rival(meter: Meter) -> None:
        start.wait()
        counts.append(allowed([meter.take("alice", limit) for _ in range(limit.count)]))

    rivals = [threading.Thread(target=rival, args=[meters[number % 2]]) for number in range(8)]
    for each in rivals:
        each.start()
    for each in rivals:
        each.join()
    assert sum(counts) == limit.count


def test_keys_end_with_their_window_and_stand_under_our_prefix(clock) -> None:
    Meter().take("alice", Limit(10, 60))
    with redis.Redis.from_url(configured.REDIS_URL) as client:
        [key] = client.keys(configured.REDIS_PREFIX + "throttle:*")
        assert key.decode() == f"{configured.REDIS_PREFIX}throttle:alice:{START}"
        assert 60 < client.ttl(key) <= 120


def test_strangers_cannot_fill_the_memory(clock, monkeypatch) -> None:
    monkeypatch.setattr(limits, "MOST_IDENTITIES", 10)
    meter = Meter()
    for number in range(25):
        assert meter.take(f"stranger {number}", Limit(1, 60)).allowed
    assert len(meter._shares) <= 10


# ---------------------------------------------------------------- Redis away


class DeafServer:
    """Takes connections and never answers."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        taken = []
        try:
            while True:
                taken.append(self.socket.accept())
                self.connections += 1
        except OSError:
            return  # the test is over


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def uncounted() -> float:
    return REGISTRY.get_sample_value("tirelire_throttle_uncounted_requests_total") or 0


def test_redis_away_lets_requests_through_and_counts_them(clock, settings) -> None:
    there = settings.REDIS_URL
    settings.REDIS_URL = f"redis://127.0.0.1:{closed_port()}"
    before, meter, limit = uncounted(), Meter(), Limit(2, 60)
    outcomes = [meter.take("alice", limit) for _ in range(5)]
    assert allowed(outcomes) == 5
    assert {outcome.remaining for outcome in outcomes} == {None}
    assert uncounted() - before == 5
    settings.REDIS_URL = there
    meter._paused_until = 0  # the pause is over
    assert allowed([meter.take("alice", limit) for _ in range(5)]) == 2


def test_a_deaf_redis_is_asked_once_in_a_pause(clock, settings) -> None:
    server = DeafServer()
    settings.REDIS_URL = f"redis://127.0.0.1:{server.socket.getsockname()[1]}"
    settings.THROTTLE_REDIS_TIMEOUT_SECONDS = 0.05
    settings.THROTTLE_REDIS_PAUSE_SECONDS = 3_600
    meter = Meter()
    assert allowed([meter.take("alice", Limit(2, 60)) for _ in range(50)]) == 50
    assert server.connections == 1
    server.socket.close()


def test_a_connection_that_redis_dropped_is_replaced(clock) -> None:
    meter, limit = Meter(), Limit(2, 60)
    assert meter.take("alice", limit).remaining == 1
    ours = limits.connected(configured.REDIS_URL, configured.THROTTLE_REDIS_TIMEOUT_SECONDS).client_id()
    with redis.Redis.from_url(configured.REDIS_URL) as other:
        assert other.client_kill_filter(_id=str(ours)) == 1
    assert meter.take("alice", limit).remaining == 0
