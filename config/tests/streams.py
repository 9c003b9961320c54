"""Real web, stream and worker processes on the test's database, and clients of both doors."""

import contextlib
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode

import jwt
import uvicorn
from django.conf import settings
from django.db import connection
from websockets.sync.client import ClientConnection, connect

from config.management.commands.up import STREAM_OPTIONS
from config.tests.processes import free_port, running

LONG = 60  # how long a broken test may hang
# On a busy machine a new connection may take longer than a request waits for one, and a lock longer than it may.
PATIENT = {
    name: str(LONG * unit)
    for name, unit in (
        ("DATABASE_WAIT_SECONDS", 1),
        ("DATABASE_LOCK_TIMEOUT_MS", 1000),
        ("DATABASE_STATEMENT_TIMEOUT_MS", 1000),
    )
}
FAR_AWAY = 4_000_000_000


def database_url() -> str:
    at = connection.get_connection_params()
    login = quote(str(at.get("user") or "postgres")) + (f":{quote(str(at['password']))}" if at.get("password") else "")
    host, port, name = str(at.get("host") or "127.0.0.1"), at.get("port") or 5432, connection.settings_dict["NAME"]
    return (
        f"postgres://{login}@:{port}/{host}/{name}"
        if host.startswith("/")
        else f"postgres://{login}@{host}:{port}/{name}"
    )


@contextlib.contextmanager
def web(
    folder: Path,
    stream_url: str = "",
    port: int = 0,
    application: str = "config.wsgi:application",
    **environment: str,
) -> Iterator[int]:
    port = port or free_port()
    command = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    with _serving([*command, "--blocking-threads", "2", application], port, folder, PATIENT | environment | {
        "STREAM_URL": stream_url, "DATABASE_POOL_SIZE": "2",
    }):  # fmt: skip
        yield port


@contextlib.contextmanager
def stream(folder: Path, **environment: str) -> Iterator[int]:
    port = free_port()
    command = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), *STREAM_OPTIONS]
    with _serving(command, port, folder, environment):
        yield port


@contextlib.contextmanager
def _serving(command: list[str], port: int, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    log = folder / f"{port}.log"
    said = {"APP_ENV": "test", "DATABASE_URL": database_url(), "LOG_LEVEL": "INFO", **environment}
    with running([sys.executable, *command], log, **said) as process:
        pause = threading.Event()
        for _ in range(LONG * 20):
            assert process.poll() is None, log.read_text()[-3000:]
            with contextlib.suppress(OSError, urllib.error.URLError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=LONG).close()
                break
            pause.wait(0.05)
        yield


def wait_until_well(port: int) -> None:
    """A stream process says that it is degraded until Redis has let it listen."""
    pause = threading.Event()
    for _ in range(LONG * 20):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/stream", timeout=LONG) as answer:
            if json.load(answer)["status"] == "ok":
                return
        pause.wait(0.05)
    raise AssertionError("The stream process does not get well.")


def token_of(user_id: str, **claims: Any) -> str:
    return jwt.encode({"sub": user_id, "exp": FAR_AWAY, **claims}, settings.JWT_SECRET, "HS256")


def call(port: int, method: str, path: str, token: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    client = HTTPConnection("127.0.0.1", port, timeout=LONG)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        client.request(method, f"/api/v1/{path}", json.dumps(body) if body is not None else None, sent)
        answer = client.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else dict(answer.headers)
    finally:
        client.close()


class SentEvents:
    """A client of Server-Sent Events. It reads frames as the standard says, and remembers the last id."""

    def __init__(
        self, port: int, token: str = "", *, last_event_id: str = "", query: dict[str, str] | None = None
    ) -> None:
        self.client = HTTPConnection("127.0.0.1", port, timeout=LONG)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Last-Event-ID": last_event_id} if last_event_id else {}
        self.client.request("GET", f"/api/v1/events?{urlencode(query or {})}", headers=headers)
        self.answer: HTTPResponse = self.client.getresponse()
        self.last_id = last_event_id

    def __enter__(self) -> Self:
        assert self.answer.status == 200, self.answer.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.answer.close()
        self.client.close()

    def next(self) -> dict[str, Any] | None:
        """The next message; None at the end of the stream. Comments and `retry` are passed over."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
                continue
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                message: dict[str, Any] = json.loads(fields["data"])
                assert fields["event"] == message["type"]
                return message
            fields = {}
        return None

    def until(self, kind: str) -> list[dict[str, Any]]:
        return _until(self, kind)


class WebSocket:
    def __init__(self, port: int, token: str, *, last_event_id: str = "") -> None:
        query = f"?last_event_id={quote(last_event_id)}" if last_event_id else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.opening = connect(
            f"ws://127.0.0.1:{port}/ws/events{query}", additional_headers=headers, open_timeout=LONG, proxy=None
        )

    def __enter__(self) -> Self:
        self.connection: ClientConnection = self.opening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.opening.__exit__(None, None, None)

    def next(self) -> dict[str, Any] | None:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=LONG))
        return message

    def until(self, kind: str) -> list[dict[str, Any]]:
        return _until(self, kind)


def _until(client: SentEvents | WebSocket, kind: str) -> list[dict[str, Any]]:
    """All messages up to the first of a kind, that one too."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["type"] != kind:
        message = client.next()
        assert message is not None, f"The stream ended behind {found}, without {kind}."
        found.append(message)
    return found


@contextlib.contextmanager
def served() -> Iterator[int]:
    """The stream application in a thread of this process: real sockets, and a start that takes no time."""
    from config.asgi import application

    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(application, host="127.0.0.1", port=port, log_config=None, ws_max_size=4096, lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    pause = threading.Event()
    while not server.started:
        assert thread.is_alive(), "The server did not start."
        pause.wait(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        application.relay.loop.call_soon_threadsafe(application.hub.end_all)
        thread.join(LONG)
        assert not thread.is_alive(), "The server did not stop."
