"""The real server over loopback: bodies that lie about their length, and a database that goes away and comes back."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from django.conf import settings
from django.db import connection, transaction

from config.tests.processes import free_port
from config.tests.streams import PATIENT

WAIT_SECONDS = 60  # how long a broken test may hang
FAR_AWAY = 4_000_000_000
LIMIT_BYTES = 2_000
THREADS = 4


class Proxy:
    """Stands between the server and PostgreSQL, so that the database can go away for one test alone."""

    def __init__(self, target: str | tuple[str, int]) -> None:
        self.target = target
        self.pairs: list[socket.socket] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept, args=[self.listener], daemon=True)
        self.acceptor.start()

    def close(self) -> None:
        """From now on connections are refused, and those that were open are cut."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()  # a connection that is just being accepted is one of the pairs by then
        self.listener.close()
        self.cut()

    def cut(self) -> None:
        for each in self.pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
                self.pairs += [here, there]
                there.connect(self.target)
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def database_address() -> tuple[str | tuple[str, int], dict[str, str]]:
    parameters = connection.get_connection_params()
    host, port = str(parameters.get("host") or "127.0.0.1"), int(parameters.get("port") or 5432)
    target = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
    return target, {"user": parameters.get("user") or "postgres", "password": parameters.get("password") or ""}


@pytest.fixture
def database(transactional_db) -> Iterator[Proxy]:
    proxy = Proxy(database_address()[0])
    yield proxy
    proxy.close()


def wait_until_it_listens(child: "subprocess.Popen[str]", port: int) -> None:
    """The worker says that it started a moment before it listens."""
    while child.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.05)
    raise AssertionError("The server ended before it listened.")


@pytest.fixture
def server(database: Proxy, request: pytest.FixtureRequest) -> Iterator[int]:
    port = free_port()
    who = database_address()[1]
    login = quote(who["user"]) + (f":{quote(who['password'])}" if who["password"] else "")
    environment = {
        **os.environ,
        "APP_ENV": "test",
        "DATABASE_URL": f"postgres://{login}@127.0.0.1:{database.port}/{connection.settings_dict['NAME']}",
        "DATABASE_KEEP_SECONDS": "600",
        "API_MAX_BODY_BYTES": str(LIMIT_BYTES),
        **getattr(request, "param", {}),
    }
    command = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    child = subprocess.Popen(
        [sys.executable, *command, "--blocking-threads", str(THREADS), "config.wsgi:application"],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    hangs = threading.Timer(WAIT_SECONDS, child.kill)
    hangs.start()
    try:
        log = iter(child.stdout)
        assert any("Started worker" in line for line in log), "The server did not start."
        wait_until_it_listens(child, port)
        hangs.cancel()
        drain = threading.Thread(target=child.stdout.read, daemon=True)
        drain.start()
        yield port
        os.killpg(child.pid, signal.SIGKILL)
        drain.join(WAIT_SECONDS)
    finally:
        hangs.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(WAIT_SECONDS)
        child.stdout.close()


def ask(
    port: int, method: str = "GET", body: Any = None, *, chunked: bool = False, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    token = jwt.encode({"sub": "ann", "exp": FAR_AWAY}, settings.JWT_SECRET, "HS256")
    client = HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        client.request(method, "/api/v1/customer", body, sent, encode_chunked=chunked)
        answer = client.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())
    finally:
        client.close()


# ---------------------------------------------------------------- bodies


def test_a_body_in_chunks_is_read_and_limited_like_any_other(server: int) -> None:
    status, _, told = ask(server, "PATCH", iter([b'{"name":', b' "Ann"}']), chunked=True)
    assert (status, told.get("name")) == (200, "Ann")
    status, _, told = ask(server, "PATCH", iter([b'{"name": "', b"x" * LIMIT_BYTES, b'"}']), chunked=True)
    assert (status, told["code"], told["limit_bytes"]) == (413, "body_too_large", LIMIT_BYTES)


def test_a_body_is_refused_by_its_announced_length_before_it_is_sent(server: int) -> None:
    status, _, told = ask(server, "PATCH", None, Content_Length=str(10**12))
    assert (status, told["code"]) == (413, "body_too_large")


def test_a_length_that_lies_breaks_nothing(server: int) -> None:
    too_short = ask(server, "PATCH", b'{"name": "Ann"}', Content_Length="5")
    assert (too_short[0], too_short[2]["code"]) == (400, "malformed_body")
    with socket.create_connection(("127.0.0.1", server), WAIT_SECONDS) as broken:
        broken.sendall(b"PATCH /api/v1/customer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{")
    assert ask(server)[0] == 200


# ---------------------------------------------------------------- the database


def test_while_the_database_is_away_the_api_says_so_and_then_recovers(server: int, database: Proxy) -> None:
    assert ask(server)[0] == 200
    database.close()
    for _ in range(3):
        status, headers, told = ask(server)
        assert (status, headers["content-type"], told["code"]) == (
            503,
            "application/problem+json",
            "service_unavailable",
        )
        assert headers["retry-after"] == str(settings.UNAVAILABLE_RETRY_AFTER_SECONDS)
    database.open()
    assert recovers(server) == {200, 503}


def test_forty_at_once_are_all_told_that_the_database_is_away(server: int, database: Proxy) -> None:
    assert ask(server)[0] == 200
    database.close()
    with ThreadPoolExecutor(40) as clients:
        told = list(clients.map(lambda _: ask(server), range(40)))
    assert {(status, body["code"]) for status, _, body in told} == {(503, "service_unavailable")}
    database.open()
    assert recovers(server) == {200, 503}


def recovers(server: int) -> set[int]:
    """What is answered until the first success."""
    seen: set[int] = set()
    hangs_at = time.monotonic() + WAIT_SECONDS
    while 200 not in seen and time.monotonic() < hangs_at:
        seen.add(ask(server)[0])
        threading.Event().wait(0.02)
    return seen | {503}


WAITING = """
SELECT count(*), pg_stat_clear_snapshot() FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
TERMINATE = """
SELECT count(*), bool_and(pg_terminate_backend(pid, %s)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _count(cursor: Any) -> int:
    cursor.execute(WAITING)
    return int(cursor.fetchone()[0])


@pytest.mark.parametrize("server", [PATIENT, PATIENT | {"DATABASE_POOL_SIZE": str(THREADS)}], indirect=True)
def test_a_restart_of_the_database_costs_one_answer_at_most(server: int) -> None:
    assert ask(server, "PATCH", b'{"name": "Ann"}')[0] == 200
    changes = [threading.Thread(target=ask, args=[server, "PATCH", b'{"name": "Ben"}']) for _ in range(THREADS)]
    with connection.cursor() as cursor:
        with transaction.atomic():  # all of them wait for this row, so that each needs a connection of its own
            cursor.execute("SELECT FROM billing_customer FOR UPDATE")
            for change in changes:
                change.start()
            assert any(_count(cursor) == THREADS for _ in range(100_000)), "They never waited together."
        for change in changes:
            change.join(WAIT_SECONDS)
        cursor.execute(TERMINATE, [WAIT_SECONDS * 1000])
        assert cursor.fetchone() == (THREADS, True)
    assert ask(server)[0] == 503
    assert [ask(server)[0] for _ in range(2 * THREADS)] == [200] * 2 * THREADS
