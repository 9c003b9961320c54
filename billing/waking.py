"""Waking the worker when notifications have come or credits are due: one on its way at a time, not in the request.

Publishing a task costs as much as storing a letter, so a thread of the process does it, and at most so often. A wake-up
that is lost costs a few seconds: a sweep does the same work.
"""

import logging
import os
import threading
from collections.abc import Callable

import redis
from django.conf import settings

from rest.connections import connected

logger = logging.getLogger(__name__)

IN_FLIGHT_SECONDS = 30  # then a wake-up that nobody answered is taken for lost


def _redis() -> "redis.Redis":
    return connected(settings.REDIS_URL, settings.BROKER_TIMEOUT_SECONDS)


def _key(name: str) -> str:
    return f"{settings.REDIS_PREFIX}wake:{name}"


def answered(name: str) -> None:
    """By the worker, before it looks: what comes from now on sends a wake-up of its own."""
    try:
        _redis().delete(_key(name))
    except redis.RedisError:
        logger.info("wake.unanswered", extra={"wake": name})  # it ends by itself


class Waker:
    """Of one process. `wake` only sets a flag; whoever waits for it sends."""

    def __init__(self, name: str, send: Callable[[], object]) -> None:
        self.name = name
        self.send = send
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """The thread of a parent does not live in its child, and its locks may have been held."""
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        if settings.INBOX_WAKE_SECONDS <= 0:
            self.send_one()
            return
        self._wanted.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._serve, name=f"wake-{self.name}", daemon=True)
                    self._thread.start()

    def _serve(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self.send_one()
            pause.wait(settings.INBOX_WAKE_SECONDS)

    def send_one(self) -> bool:
        """Unless one is on its way already; says whether it was sent."""
        try:
            if not _redis().set(_key(self.name), 1, nx=True, ex=IN_FLIGHT_SECONDS):
                return False
            if self.send() is None:  # the broker did not take it
                _redis().delete(_key(self.name))
                return False
        except redis.RedisError as error:
            logger.warning("wake.not_sent", extra={"wake": self.name, "reason": type(error).__name__})
            return False
        return True
