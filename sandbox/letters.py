"""Notifications on their way to the shop: sent by a thread of their own, late, twice, never, or by a forger."""

import heapq
import http.client
import itertools
import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from sandbox.clock import Clock, text
from sandbox.dials import Panel

REPLY_TIMEOUT_SECONDS = 20
HELD_BACK_SECONDS = 2.0  # how long a reordered letter waits for one to overtake it
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
REMEMBERED = 5_000
NOBODY = 0  # the status of a letter that nobody answered

log = logging.getLogger("sandbox")


@dataclass(frozen=True, kw_only=True)
class Letter:
    url: str
    subject: str  # what it tells, for people: "PAYMENT.CAPTURE.COMPLETED WH-1"
    content: dict[str, Any]
    method: str = "POST"
    attempt: int = 1
    is_forged: bool = False


@dataclass(frozen=True, kw_only=True)
class Envelope:
    headers: Mapping[str, str]
    body: bytes


class Sender(Protocol):
    """What the postman asks of a gateway."""

    retry_after_seconds: tuple[int, ...]
    lock: Any

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope: ...
    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]: ...
    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]: ...
    def delivered(self, letter: Letter, status: int) -> None: ...


class Postman:
    """Sends the letters of one gateway in the order in which they are due."""

    def __init__(self, *, clock: Clock, panel: Panel, gateway: Sender) -> None:
        self.clock = clock
        self.panel = panel
        self.gateway = gateway
        self.bag: list[tuple[float, int, Letter]] = []
        self.held_back: list[Letter] = []
        self.on_the_way = 0
        self.numbers = itertools.count()
        self.changed = threading.Condition()
        self.sent: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self.is_closed = False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True, name="postman").start()

    def stop(self) -> None:
        with self.changed:
            self.is_closed = True
            self.changed.notify_all()

    def forget(self) -> None:
        with self.changed:
            self.bag.clear()
            self.held_back.clear()
            self.sent.clear()
            self.changed.notify_all()

    def wake(self) -> None:
        """The clock moved: something may be due."""
        with self.changed:
            self.changed.notify_all()

    def waiting(self) -> int:
        """Letters that are due or nearly: not those that wait hours for their next try."""
        with self.changed:
            soon = self.clock.seconds() + HELD_BACK_SECONDS
            return self.on_the_way + len(self.held_back) + sum(due <= soon for due, _, _ in self.bag)

    def wait_for_none(self, seconds: float) -> bool:
        """Until no letter is due or nearly, or that time is over; says which."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.waiting(), seconds)

    def history(self) -> list[dict[str, Any]]:
        with self.changed:
            return list(self.sent)

    def post(self, letter: Letter) -> None:
        """Hand a letter in; the dials say what becomes of it."""
        if not letter.url:
            return
        fate = self.panel.fate_of_letter()
        if fate.is_forged:
            self._hand_over(self._forgery_of(letter), 0)
        if fate.is_dropped:
            self._remember(letter, NOBODY, "dropped")
            return
        if fate.has_wrong_amount:
            letter = replace(letter, content=self.gateway.with_wrong_amount(letter.content))
        for _ in range(2 if fate.is_duplicated else 1):
            if fate.is_reordered:
                self._hold_back(letter)
            else:
                self._hand_over(letter, fate.delay_ms / 1000)

    def perhaps_forge(self, letter: Letter) -> None:
        if letter.url and self.panel.fate_of_letter().is_forged:
            self._hand_over(self._forgery_of(letter), 0)

    def _forgery_of(self, letter: Letter) -> Letter:
        return replace(letter, is_forged=True, content=self.gateway.claiming_success(letter.content))

    def _hand_over(self, letter: Letter, delay_seconds: float) -> None:
        with self.changed:
            heapq.heappush(self.bag, (self.clock.seconds() + delay_seconds, next(self.numbers), letter))
            self.changed.notify_all()

    def _hold_back(self, letter: Letter) -> None:
        """It goes after the next letter, or by itself when none comes."""
        with self.changed:
            self.held_back.append(letter)
            held_until = self.clock.seconds() + HELD_BACK_SECONDS
            heapq.heappush(self.bag, (held_until, next(self.numbers), letter))
            self.changed.notify_all()

    def _run(self) -> None:
        while True:
            letter = self._next()
            if letter is None:
                return
            try:
                self._send(letter)
            except Exception:  # whatever one letter does, the next must go out
                log.exception("A notification could not be sent: %s", letter.subject)
            finally:
                with self.changed:
                    self.on_the_way -= 1
                    self.changed.notify_all()

    def _next(self) -> Letter | None:
        with self.changed:
            while not self.is_closed:
                now = self.clock.seconds()
                if self.bag and self.bag[0][0] <= now:
                    letter = heapq.heappop(self.bag)[2]
                    self.on_the_way += 1
                    self._overtaken_by(letter)
                    return letter
                self.changed.wait(min(0.5, self.bag[0][0] - now) if self.bag else None)
        return None

    def _overtaken_by(self, letter: Letter) -> None:
        """Whoever was held back goes now, just behind this one."""
        overtaken = [held for held in self.held_back if held is not letter]
        was_held = any(held is letter for held in self.held_back)
        self.held_back.clear()
        if was_held:  # nobody came by: it goes by itself, the others keep waiting
            self.held_back.extend(overtaken)
            return
        now = self.clock.seconds()
        waiting = [(due, number, each) for due, number, each in self.bag if not any(each is o for o in overtaken)]
        self.bag = waiting + [(now, next(self.numbers), each) for each in overtaken]
        heapq.heapify(self.bag)

    def _send(self, letter: Letter) -> None:
        with self.gateway.lock:
            envelope = self.gateway.seal(letter, letter.content, is_genuine=not letter.is_forged)
        status, outcome = deliver(letter, envelope)
        self._remember(letter, status, outcome)
        if letter.is_forged:
            return
        with self.gateway.lock:
            self.gateway.delivered(letter, status)
        was_taken = 200 <= status < 300  # noqa: PLR2004
        if not was_taken and letter.attempt <= len(self.gateway.retry_after_seconds):
            wait = self.gateway.retry_after_seconds[letter.attempt - 1]
            self._hand_over(replace(letter, attempt=letter.attempt + 1), wait)

    def _remember(self, letter: Letter, status: int, outcome: str) -> None:
        line = {
            "at": text(self.clock.seconds()),
            "url": letter.url,
            "method": letter.method,
            "subject": letter.subject,
            "attempt": letter.attempt,
            "forged": letter.is_forged,
            "status": status,
            "outcome": outcome,
        }
        with self.changed:
            self.sent.append(line)


def deliver(letter: Letter, envelope: Envelope) -> tuple[int, str]:
    """Send once; (0, why) when nobody answered. Only this machine is written to, redirects are not followed."""
    address = urlsplit(letter.url)
    if address.scheme != "http" or address.hostname not in LOOPBACK:
        return NOBODY, "not sent: the sandbox writes to http addresses of this machine only"
    connection = http.client.HTTPConnection(address.hostname, address.port or 80, timeout=REPLY_TIMEOUT_SECONDS)
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        connection.request(letter.method, path, body=envelope.body, headers=dict(envelope.headers))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return NOBODY, f"nobody answered: {error}"
    finally:
        connection.close()
    return status, "sent"
