"""The sandbox's own time: the real one, moved forward as far as somebody asked."""

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Runs at the speed of the real time; it can be pushed forward, never back."""

    def __init__(self) -> None:
        self.offset_seconds = 0.0
        self.lock = threading.Lock()

    def seconds(self) -> float:
        return time.time() + self.offset_seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float) -> None:
        with self.lock:
            self.offset_seconds += seconds

    def reset(self) -> None:
        with self.lock:
            self.offset_seconds = 0.0


def text(moment: float) -> str:
    """A moment as RFC 3339, which PayPal and our books write."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
