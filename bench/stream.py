"""`bench stream`: a thousand idle SSE connections on one process: their memory, and how soon an owner is told."""

import contextlib
import random
import resource
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from bench import books, databases, machine, measuring, web
from bench.measuring import Say, WentWrong
from config.management.commands.up import STREAM_OPTIONS
from events import outbox
from events.types import EventType

READY = b"event: stream.ready"
PATIENCE_SECONDS = 60
SPARE_FILES = 200
GAP_SECONDS = 0.05  # between two events: what comes at once shares hints, and would measure their pause
LOW = {"unit": "CREDIT", "available": 1, "version": 1}
_RAW = """INSERT INTO events_event (type, user_id, data)
          VALUES ('credits.low', %s, '{"unit": "CREDIT", "available": 1, "version": 1}')"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, help="how many customers listen (1000)")
    parser.add_argument("--events", type=int, help="how many events, each to one of them (500)")


def run(options: dict[str, Any], say: Say) -> dict[str, Any]:
    count = options["connections"] or (100 if options["quick"] else 1_000)
    events = options["events"] or (50 if options["quick"] else 500)
    database = f"{options['database']}_stream"
    found = machine.describe()
    for line in found.lines():
        say(line)
    _allow_files(count + SPARE_FILES)
    say(f"making {database}: {count} customers")
    try:
        databases.create(database, options["template"])
        with databases.using(database):
            settings.REDIS_PREFIX = f"{database}:"  # that of the server, for the hints of this process
            people = books.make_people(count)
            with _serving(database) as (server, port):
                figures = _measure(server, port, people, events, say)
    finally:
        if not options["keep"]:
            databases.drop(database)
    rows = [(f"{count} idle connections, {events} events", "")]
    rows += [(title, f"{value:.1f}") for title, value in figures.items()]
    for line in ["", *measuring.table(rows)]:
        say(line)
    return {"machine": found, "figures": figures}


def _measure(
    server: "subprocess.Popen[bytes]", port: int, people: list[User], events: int, say: Say
) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        warm = stack.enter_context(_listening(port, people[0]))
        before_kb = _memory_kb(server.pid)
        started_at = time.perf_counter()
        sockets = {person.pk: stack.enter_context(_listening(port, person)) for person in people}
        opening_seconds = time.perf_counter() - started_at
        after_kb = _memory_kb(server.pid)
        say(f"{len(sockets)} are connected")
        hinted = _deliver(sockets, events, with_hint=True)
        unhinted = _deliver(sockets, max(events // 10, 10), with_hint=False)
        _nobody_else_heard([*sockets.values()], own=warm)
    return {
        "memory of a connection, kB": (after_kb - before_kb) / len(people),
        "memory of the process with all of them, MB": after_kb / 1000,
        "connections opened a second": len(people) / opening_seconds,
        "event to client, from before it is written, p50 ms": _percentile(hinted["written"], 50),
        "event to client, from before it is written, p99 ms": _percentile(hinted["written"], 99),
        "event to client, from its commit, p50 ms": _percentile(hinted["committed"], 50),
        "event to client, from its commit, p99 ms": _percentile(hinted["committed"], 99),
        "the same when nobody gives a hint, p50 ms": _percentile(unhinted["committed"], 50),
        "the same when nobody gives a hint, p99 ms": _percentile(unhinted["committed"], 99),
    }


def _deliver(sockets: dict[int, socket.socket], events: int, *, with_hint: bool) -> dict[str, list[float]]:
    """Milliseconds of each event, one after the other, from writing and from its commit to its owner."""
    found: dict[str, list[float]] = {"written": [], "committed": []}
    chance = random.Random(events)  # noqa: S311 - the same owners in every run
    people = {person.pk: person for person in User.objects.filter(pk__in=sockets)}
    for _ in range(events):
        time.sleep(GAP_SECONDS)
        user_id = chance.choice(list(sockets))
        written_at = time.perf_counter()
        if with_hint:
            outbox.record(user=people[user_id], type=EventType.CREDITS_LOW, data=LOW)
        else:
            with connection.cursor() as cursor:
                cursor.execute(_RAW, [user_id])
        committed_at = time.perf_counter()
        _read_until(sockets[user_id], b"event: credits.low")
        heard_at = time.perf_counter()
        found["written"].append((heard_at - written_at) * 1000)
        found["committed"].append((heard_at - committed_at) * 1000)
    return found


def _nobody_else_heard(sockets: list[socket.socket], own: socket.socket) -> None:
    """Each event was read from its owner's socket; anything that lies in one now went to somebody else's."""
    with selectors.DefaultSelector() as waiting:
        for each in sockets:
            waiting.register(each, selectors.EVENT_READ)
        strays = [key.fileobj.recv(65_536) for key, _ in waiting.select(0)]  # type: ignore[union-attr]
    if any(b"event: credits.low" in stray for stray in strays):
        raise WentWrong("Somebody heard of another's event.")


@contextlib.contextmanager
def _listening(port: int, person: User) -> Iterator[socket.socket]:
    token = jwt.encode({"sub": person.username, "exp": time.time() + 3_600}, settings.JWT_SECRET, "HS256")
    with socket.create_connection((web.HOST, port), timeout=PATIENCE_SECONDS) as link:
        link.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        _read_until(link, READY)
        yield link


def _read_until(link: socket.socket, wanted: bytes) -> None:
    """Up to the end of the frame in which it stands."""
    text = b""
    while wanted not in text or not text.endswith(b"\n\n\r\n"):
        more = link.recv(65_536)
        if not more:
            raise WentWrong(f"The stream ended: {text[-500:]!r}")
        text += more


@contextlib.contextmanager
def _serving(database: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    folder = Path(tempfile.mkdtemp(prefix="tirelire-bench-"))
    port = web.free_port()
    quiet = {"DJANGO_SETTINGS_MODULE": "config.settings", "STREAM_HEARTBEAT_SECONDS": "3600", "DATABASE_POOL_SIZE": "2"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--host", web.HOST, "--port", str(port), *STREAM_OPTIONS],
            cwd=settings.BASE_DIR,
            env=web.environment(database, folder) | quiet,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        web.wait_for(server, f"http://{web.HOST}:{port}/health/live", folder / "log")
        urllib.request.urlopen(f"http://{web.HOST}:{port}/health/stream", timeout=5).close()
        yield server, port
    finally:
        web.stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def _memory_kb(pid: int) -> int:
    """Its own share of memory, as the kernel counts it."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def _percentile(values: list[float], wanted: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[wanted - 1]


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
