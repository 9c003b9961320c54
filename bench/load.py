"""A small HTTP load generator: raw sockets kept alive, one request in flight on each; no Django, a process of its own.

`python -m bench.load` reads one JSON object (a Load) from its input and writes one (a Result) to its output. It takes
some 15 µs of CPU per request, which the server on the same machine has to do without.
"""

import hashlib
import hmac
import json
import random
import selectors
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.measuring import WentWrong

END_OF_HEADERS = b"\r\n\r\n"
LENGTH = b"content-length: "
PATIENCE_SECONDS = 30
NOBODYS = "evt_" + "0" * 32  # stands in a letter until it gets an id of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send: a POST for one of the first `customers` customers each time, for so long."""

    host: str
    port: int
    path: str
    token: str
    customers: int
    seconds: float
    connections: int = 16
    batch: int = 0  # so many spends in one body; 0: one spend, with its key in a header
    secret: str = ""  # send letters of Stripe instead, each another event, signed with it
    warm_seconds: float = 0.3  # not counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    sample: str  # an answer that was no success, or that carries a problem

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def run(load: Load) -> Result:
    """Send it from another process, so that the generator shares no interpreter with what it measures."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=Path(__file__).resolve().parent.parent,
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise WentWrong(f"The load generator ended with {done.returncode}: {done.stderr[-2000:]}")
    result = Result(**json.loads(done.stdout))
    if set(result.statuses) - {"200", "201"} or result.sample or not result.requests:
        raise WentWrong(f"{load.path} answered {result.statuses}: {result.sample or 'nothing in time'}")
    return result


# ---------------------------------------------------------------- in the other process


@dataclass(slots=True)
class Generator:
    load: Load
    times: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    sample: str = ""
    head: bytes = b""
    written_at: int = 0
    written: bytes = b""

    def __post_init__(self) -> None:
        load = self.load
        self.head = (
            f"POST {load.path} HTTP/1.1\r\nHost: {load.host}:{load.port}\r\nAuthorization: Bearer {load.token}\r\n"
            "Content-Type: application/json\r\nX-User-ID: bench-"
        ).encode()

    def request(self) -> bytes:
        if self.load.secret:
            return self.letter()
        customer = str(random.randrange(self.load.customers)).encode()  # noqa: S311 - no secret
        if self.load.batch:
            spends = [{"key": str(uuid.uuid4()), **_use()} for _ in range(self.load.batch)]
            body, key = json.dumps({"spends": spends}).encode(), b""
        else:
            body, key = json.dumps(_use()).encode(), b"\r\nIdempotency-Key: " + str(uuid.uuid4()).encode()
        return self.head + customer + key + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def letter(self) -> bytes:
        event, now = f"evt_{uuid.uuid4().hex}", int(time.time())
        if now != self.written_at:  # written once a second; only what tells one from another is put in each time
            self.written_at, self.written = now, json.dumps(_event(NOBODYS, now)).encode()
        body = self.written.replace(NOBODYS[4:].encode(), event[4:].encode())
        signature = hmac.new(self.load.secret.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
        return (
            f"POST {self.load.path} HTTP/1.1\r\nHost: {self.load.host}:{self.load.port}\r\n"
            f"Content-Type: application/json\r\nStripe-Signature: t={now},v1={signature}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def work(self) -> Result:
        selector = selectors.DefaultSelector()
        for _ in range(self.load.connections):
            opened = Connection(socket.create_connection((self.load.host, self.load.port), timeout=PATIENCE_SECONDS))
            opened.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(opened.socket, selectors.EVENT_READ, opened)
            opened.send(self.request())
        counts_from = time.perf_counter() + self.load.warm_seconds
        until = counts_from + self.load.seconds
        last = until
        while time.perf_counter() < until or not self.times:  # whatever takes longer than its turn is measured once
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise SystemExit(f"no answer within {PATIENCE_SECONDS} seconds")
            for each, _ in ready:
                opened = each.data
                answer = opened.receive()
                if answer is None:
                    continue
                now = time.perf_counter()
                if counts_from <= now and (now < until or not self.times):
                    self.note(answer, now - opened.sent_at)
                    last = max(last, now)
                opened.send(self.request())
        ordered = sorted(self.times) or [0.0]
        return Result(
            requests=len(self.times),
            seconds=last - counts_from,
            p50_ms=ordered[len(ordered) // 2] * 1_000,
            p99_ms=ordered[len(ordered) * 99 // 100] * 1_000,
            statuses=self.statuses,
            sample=self.sample,
        )

    def note(self, answer: bytes, seconds: float) -> None:
        self.times.append(seconds)
        status = answer[9:12].decode()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if not self.sample and (status[0] != "2" or b'"problem"' in answer):
            self.sample = answer[:800].decode(errors="replace")


def _use() -> dict[str, Any]:
    return {"action": "bench.act", "reference": f"job-{random.getrandbits(40):x}"}


def _event(event: str, now: int) -> dict[str, Any]:
    """A payment_intent.succeeded of the size that Stripe sends."""
    intent = {
        "id": f"pi_{event[4:]}",
        "object": "payment_intent",
        "amount": 999,
        "amount_received": 999,
        "currency": "eur",
        "created": now,
        "customer": "cus_bench",
        "livemode": False,
        "metadata": {"reference": event[4:]},
        "payment_method_types": ["card"],
        "status": "succeeded",
        "description": "Pack Medium " * 60,
    }
    return {
        "id": event,
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": now,
        "livemode": False,
        "type": "payment_intent.succeeded",
        "data": {"object": intent},
    }


@dataclass(slots=True)
class Connection:
    socket: socket.socket
    sent_at: float = 0.0
    buffer: bytes = b""

    def send(self, request: bytes) -> None:
        self.buffer = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The whole answer, or None while a part of it is still on its way."""
        part = self.socket.recv(262_144)
        if not part:
            raise SystemExit(f"the server closed a connection after: {self.buffer[:300]!r}")
        self.buffer += part
        end = self.buffer.find(END_OF_HEADERS)
        if end < 0:
            return None
        start = self.buffer[:end].lower().find(LENGTH)
        if start < 0:
            raise SystemExit(f"an answer without its length: {self.buffer[:end]!r}")
        length = int(self.buffer[start + len(LENGTH) : end].split(b"\r\n", 1)[0])
        return self.buffer if len(self.buffer) >= end + len(END_OF_HEADERS) + length else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(Generator(Load(**json.load(sys.stdin))).work())))
