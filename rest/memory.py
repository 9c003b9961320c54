"""What one process remembers for some seconds, so that a known caller costs no query and no signature check."""

import threading
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """Bounded, so that strangers cannot fill it: the oldest entry leaves first."""

    everything: list["Memory"] = []  # type: ignore[type-arg]

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: dict[Key, tuple[float, float, Value]] = {}
        self._lock = threading.Lock()
        Memory.everything.append(self)

    def get(self, key: Key) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        since, until, value = entry
        # A clock that was set back must not prolong what we remember.
        return value if since <= time.time() < until else None

    def put(self, key: Key, value: Value, *, until: float) -> None:
        now = time.time()
        if until <= now:
            return
        with self._lock:
            self._entries.pop(key, None)
            while len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (now, until, value)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


def forget_everything() -> None:
    """For tests: what one test has shown to the process is unknown to the next."""
    for memory in Memory.everything:
        memory.clear()
