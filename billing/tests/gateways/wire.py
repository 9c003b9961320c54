"""A server at the level of sockets: it reads a request, or does not, and answers exactly the bytes it is told to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket], None]
PATIENCE_SECONDS = 10


@dataclass
class Wire:
    """Where the server listens, and what it was sent."""

    url: str
    received: list[bytes] = field(default_factory=list)


@contextmanager
def listening(*behaviours: Behaviour) -> Iterator[Wire]:
    """Each connection gets the next behaviour, the last one for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_SECONDS)
        wire = Wire(url=f"http://127.0.0.1:{server.getsockname()[1]}")
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, behaviours, wire, stop))
        thread.start()
        try:
            yield wire
        finally:
            stop.set()
            with socket.create_connection(server.getsockname()[:2]):
                pass  # wakes the accept
            thread.join(PATIENCE_SECONDS)


def _serve(server: socket.socket, behaviours: tuple[Behaviour, ...], wire: Wire, stop: threading.Event) -> None:
    for number in range(1_000_000):
        try:
            client, _ = server.accept()
        except TimeoutError:
            return
        with client:
            if stop.is_set():
                return
            client.settimeout(PATIENCE_SECONDS)
            _current.wire = wire
            behaviours[min(number, len(behaviours) - 1)](client)


class _Current(threading.local):
    wire: Wire


_current = _Current()


def read_request(client: socket.socket) -> bytes:
    """One whole request: head and body."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = client.recv(65_536)
        if not piece:
            return found
        found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += client.recv(65_536)
    _current.wire.received.append(head + b"\r\n\r\n" + body)
    return head + b"\r\n\r\n" + body


def hang_up(client: socket.socket) -> None:
    """Close without reading a byte."""


def read_and_hang_up(client: socket.socket) -> None:
    read_request(client)


def read_and_wait(client: socket.socket) -> None:
    """Read, and say nothing until the other side gives up."""
    read_request(client)
    client.recv(1)


def answer(status: str = "200 OK", body: bytes = b"{}", **headers: str) -> Behaviour:
    """Read a request and answer it; `x_y="z"` becomes the header X-Y."""

    def behave(client: socket.socket) -> None:
        if read_request(client):
            client.sendall(reply(status, body, **headers))

    return behave


def reply(status: str, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer_half(client: socket.socket) -> None:
    """Promise a hundred bytes, send fourteen, and hang up."""
    read_request(client)
    client.sendall(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id": "7AB12"')


def drip(client: socket.socket) -> None:
    """A byte now and then, so that no single wait is long."""
    read_request(client)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")  # for three quarters of a minute
    client.settimeout(0.05)
    for _ in range(900):
        try:
            client.sendall(b" ")
            if not client.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return
