"""Hints to the stream processes: there is something to look at. Cheap enough for every spend.

A request only notes what it did. A thread of the process sends the notes on, the first at once and what follows
together every few milliseconds, so that a thousand spends a second cost Redis fifty messages. Whoever streams looks at
the outbox by itself from time to time as well: without hints events come later, and never not at all.
"""

import logging
import os
import threading
from functools import cache, partial

import orjson
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from rest.connections import connected

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = 0.02
AWAY_SECONDS = 1.0
MOST_USERS = 10_000  # remembered while Redis is away; streams read every balance anew when it is back


def channel() -> str:
    return f"{settings.REDIS_PREFIX}stream"


def recorded() -> None:
    """Events were written, in this transaction or just before."""
    transaction.on_commit(partial(_notes().add, None))


def changed(user_id: int, *, has_news: bool = True) -> None:
    """Something of a customer's standing is another now; without news no event was written about it."""
    transaction.on_commit(partial(_notes().add, user_id, has_news=has_news))


class Notes:
    """What this process has to tell, until its thread has told it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.something = threading.Event()
        self.users: set[int] = set()
        self.has_news = False
        self.thread: threading.Thread | None = None

    def add(self, user_id: int | None, *, has_news: bool = True) -> None:
        with self.lock:
            if user_id is not None and len(self.users) < MOST_USERS:
                self.users.add(user_id)
            self.has_news |= has_news
            if self.thread is None:
                self.thread = threading.Thread(target=self._send_for_ever, name="stream-hints", daemon=True)
                self.thread.start()
        self.something.set()

    def take(self) -> tuple[list[int], bool]:
        with self.lock:
            self.something.clear()
            users, self.users = self.users, set()
            has_news, self.has_news = self.has_news, False
        return sorted(users), has_news

    def _send_for_ever(self) -> None:
        pause = threading.Event()  # never set: a sleep that says what it is for
        while True:
            self.something.wait()
            users, has_news = self.take()
            if _sent(users, has_news=has_news):
                pause.wait(PAUSE_SECONDS)
                continue
            pause.wait(AWAY_SECONDS)
            for user_id in users:
                self.add(user_id, has_news=has_news)


def _sent(users: list[int], *, has_news: bool) -> bool:
    try:
        connected(settings.REDIS_URL, TIMEOUT_SECONDS).publish(
            channel(), orjson.dumps({"users": users, "has_news": has_news})
        )
    except RedisError as error:
        logger.info("stream.hint_unsent", extra={"error": type(error).__name__})
        return False
    return True


@cache
def _notes() -> Notes:
    return Notes()


def _forget() -> None:
    """A forked process has not the thread of its parent; connections the library makes anew by itself."""
    _notes.cache_clear()


os.register_at_fork(after_in_child=_forget)
