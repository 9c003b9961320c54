"""How the supervisor of a laptop deals with services that end."""

import io
import signal
import sys
from pathlib import Path

import pytest

from config.supervisor import Bell, Output, Service, Supervisor

ENDS_AT_ONCE = [sys.executable, "-c", "raise SystemExit(3)"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def finish(service: Service) -> None:
    """Wait for the process, and for all that it wrote to be read."""
    assert service.process is not None
    assert service.follower is not None
    service.process.wait()
    service.follower.join()


def test_service_that_ends_at_once_is_tried_again_later_and_later(tmp_path: Path, clock: Clock) -> None:
    out = io.StringIO()
    service = Service(name="web", command=ENDS_AT_ONCE)
    boss = Supervisor(tmp_path, [service], Output(out))
    waits = []
    service.start(tmp_path, boss.out)
    for _ in range(6):
        assert service.process is not None
        assert service.process.wait() == 3
        boss.restart_what_ended()
        assert service.start_again_at is not None
        waits.append(service.start_again_at - clock.now)
        finish(service)
        ended = service.process
        clock.now = service.start_again_at - 0.1
        boss.restart_what_ended()
        assert service.process is ended  # not yet
        clock.now = service.start_again_at
        boss.restart_what_ended()
        assert service.process is not ended
    finish(service)
    assert waits == [2, 4, 8, 16, 30, 30]
    assert "web ended with 3 at once; next try in 2 s" in out.getvalue()


def test_service_that_had_lived_is_started_again_at_once(tmp_path: Path, clock: Clock) -> None:
    service = Service(name="web", command=ENDS_AT_ONCE)
    boss = Supervisor(tmp_path, [service], Output(io.StringIO()))
    service.start(tmp_path, boss.out)
    assert service.process is not None
    finish(service)
    first = service.process
    clock.now += 60
    boss.restart_what_ended()
    assert service.process is not first
    finish(service)


def test_what_comes_second_starts_when_the_others_are_ready(tmp_path: Path) -> None:
    stays = [sys.executable, "-c", "import signal; signal.pause()"]
    web, worker = Service(name="web", command=stays), Service(name="worker", command=stays, comes_second=True)
    boss = Supervisor(tmp_path, [worker, web], Output(io.StringIO()))
    seen = []

    def is_ready() -> bool:
        seen.append((web.process is not None, worker.process is not None))
        return True

    def when_ready() -> None:
        seen.append((web.process is not None, worker.process is not None))
        boss.stopping.ring()

    boss.run(is_ready=is_ready, when_ready=when_ready)
    assert seen == [(True, False), (True, True)]


def test_bell_rung_by_a_signal_is_heard_for_ever() -> None:
    bell = Bell()
    usual = signal.signal(signal.SIGUSR1, bell.ring)
    try:
        assert not bell.is_heard(within=0)
        signal.raise_signal(signal.SIGUSR1)
        assert [bell.is_heard(within=60) for _ in range(2)] == [True, True]
        for _ in range(100_000):
            bell.ring()  # and never waits itself
    finally:
        signal.signal(signal.SIGUSR1, usual)
