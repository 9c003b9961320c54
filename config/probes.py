"""Questions to what we stand on, each answered within a bounded time whatever the other side does."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from redis.exceptions import RedisError

from billing import breaker
from billing.gateways import registry
from billing.gateways.errors import FailureCategory, GatewayError
from billing.routing import Health
from config import broker
from config.celery import QUEUES

logger = logging.getLogger(__name__)

OK, DEGRADED, DOWN = "ok", "degraded", "down"
NOT_CONFIGURED = "not_configured"  # of a gateway that the shop does not use: no fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How something is; the detail is for people and holds neither addresses nor secrets."""

    status: str
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    milliseconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """What anybody may read."""
        said = {"detail": self.detail} if self.detail else {}
        return {"status": self.status, **said, "ms": round(self.milliseconds, 1)}


class Probe:
    """One question. It is asked once at a time: whoever comes meanwhile waits for the same answer.

    The question runs in a thread of its own, because a server that hangs cannot be made to answer; that thread is left
    behind, and there is never more than one of it.
    """

    def __init__(self, ask: Callable[[], Answer], *, when_silent: str) -> None:
        self.ask = ask
        self.when_silent = when_silent
        self.lock = threading.Lock()
        self.asked: Future[Answer] | None = None

    def start(self) -> "Future[Answer]":
        with self.lock:
            if self.asked is None or self.asked.done():
                self.asked = Future()
                threading.Thread(target=self._run, args=(self.asked,), daemon=True).start()
            return self.asked

    def wait(self, asked: "Future[Answer]", seconds: float) -> Answer:
        try:
            return asked.result(timeout=max(seconds, 0))
        except TookTooLong:
            return Answer(status=self.when_silent, detail="no answer in time", milliseconds=seconds * 1000)

    def _run(self, asked: "Future[Answer]") -> None:
        started_at = time.perf_counter()
        try:
            answer = self.ask()
        except (psycopg.Error, RedisError, OSError) as error:
            answer = Answer(status=self.when_silent, detail=type(error).__name__)
        except Exception as error:  # whoever waits must get an answer, also about a mistake of ours
            logger.exception("health.probe_failed")
            answer = Answer(status=self.when_silent, detail=type(error).__name__)
        took = (time.perf_counter() - started_at) * 1000
        asked.set_result(Answer(status=answer.status, detail=answer.detail, facts=answer.facts, milliseconds=took))


def ask_all(probes: dict[str, Probe], *, within_seconds: float) -> dict[str, Answer]:
    """Ask everybody at once, and wait for all of them together no longer than for one."""
    until = time.monotonic() + within_seconds
    asked = {name: probe.start() for name, probe in probes.items()}
    return {name: probe.wait(asked[name], until - time.monotonic()) for name, probe in probes.items()}


# ---------------------------------------------------------------- the questions


def database() -> Answer:
    with _own_connection() as connection:
        version = connection.execute("SHOW server_version").fetchone()
    return Answer(status=OK, facts={"version": str(version[0]).split()[0] if version else ""})


def migrations() -> Answer:
    """Behind means that the code was updated and `migrate` was not run."""
    with _own_connection() as connection:
        try:
            applied = set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
        except psycopg.errors.UndefinedTable:
            applied = set()
    pending = sorted(f"{app}.{name}" for app, name in _known_migrations() - applied)
    if pending:
        return Answer(status=DEGRADED, detail=f"{len(pending)} not applied", facts={"pending": pending[:20]})
    return Answer(status=OK)


def redis_broker() -> Answer:
    return Answer(status=OK, facts={"version": broker.version()})


def workers() -> Answer:
    ages = broker.heartbeat_ages()
    seen = {queue: ages[f"worker:{queue}"] for queue in QUEUES}
    silent = sorted(queue for queue, age in seen.items() if _is_stale(age))
    detail = "no worker lately for " + ", ".join(silent) if silent else ""
    return Answer(status=DEGRADED if silent else OK, detail=detail, facts={"age_seconds": seen})


def beat() -> Answer:
    age = broker.heartbeat_ages()["beat"]
    stale = _is_stale(age)
    detail = "no beat lately" if stale else ""
    return Answer(status=DEGRADED if stale else OK, detail=detail, facts={"age_seconds": age})


def gateway(name: str) -> Callable[[], Answer]:
    """The question to one gateway, asked at most once in GATEWAY_HEALTH_SECONDS by this process: anybody may ask us."""
    known: list[tuple[float, Answer]] = []

    def ask() -> Answer:
        if known and time.monotonic() - known[0][0] < settings.GATEWAY_HEALTH_SECONDS:
            return known[0][1]
        answer = _ask_gateway(name)
        known[:] = [(time.monotonic(), answer)]
        return answer

    return ask


def _ask_gateway(name: str) -> Answer:
    try:
        found = registry.get(name)
        if missing := list(found.missing_settings()):
            return Answer(status=NOT_CONFIGURED, facts={"missing": missing})
        facts = {"breaker": breaker.states([name])[name].value}
    finally:
        connections["default"].close()  # of this thread, when the breaker stands in the database
    try:
        found.check_health()
    except GatewayError as error:
        refused = error.category is FailureCategory.CONFIGURATION
        detail = "our credentials are refused" if refused else "no sound answer"
        return Answer(status=DEGRADED if refused else DOWN, detail=detail, facts={**facts, "code": error.code})
    is_open = facts["breaker"] == Health.OPEN.value
    return Answer(status=DEGRADED if is_open else OK, detail="breaker open" if is_open else "", facts=facts)


def streams() -> Answer:
    age = broker.stream_age()
    stale = _is_stale(age)
    return Answer(
        status=DEGRADED if stale else OK, detail="no stream process lately" if stale else "", facts={"age_seconds": age}
    )


def _is_stale(age_seconds: float | None) -> bool:
    return age_seconds is None or age_seconds > settings.HEARTBEAT_STALE_SECONDS


def _own_connection() -> "psycopg.Connection[Any]":
    """A connection beside Django's and its pool: we ask whether the server answers, not whether we are busy."""
    parameters = connections["default"].get_connection_params()
    milliseconds = int(settings.HEALTH_TIMEOUT_SECONDS * 1000)
    bounded = {
        "connect_timeout": 2,  # libpq knows no less; the waiting thread gives up earlier
        "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
        "tcp_user_timeout": milliseconds,
        "application_name": "tirelire-health",
        "autocommit": True,
    }
    return psycopg.connect(**{**parameters, **bounded})


@lru_cache(maxsize=1)
def _known_migrations() -> frozenset[tuple[str, str]]:
    """What the code of this process expects; it cannot change while the process lives."""
    return frozenset(MigrationLoader(None).graph.nodes)
