"""UUIDv7: ids that we make ourselves, known before the first insert and ordered by time (RFC 9562)."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

# A tick is 1/4096 ms, as in PostgreSQL's own uuidv7(): the 12 bits after the version continue the time.
TICKS_PER_MS = 4096
# Within a process ids only rise, unless the clock was set back by more than a second: then it is right, not we.
LARGEST_STEP_BACK = 1_000 * TICKS_PER_MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_lock = threading.Lock()
_last_tick = 0
# Drawn ahead for some ids: asking the kernel each time lets go of the interpreter each time.
_drawn: list[bytes] = []
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7() -> uuid.UUID:
    global _last_tick  # noqa: PLW0603 - the one thing that makes ids rise within a process
    tick = time.time_ns() * TICKS_PER_MS // 1_000_000
    with _lock:
        if 0 <= _last_tick - tick < LARGEST_STEP_BACK:
            tick = _last_tick + 1
        _last_tick = tick
        if not _drawn:
            some = os.urandom(8 * 64)
            _drawn.extend(some[at : at + 8] for at in range(0, len(some), 8))
        random = _drawn.pop()
    return _assemble(tick, int.from_bytes(random) >> 2)


def first_at(instant: datetime) -> uuid.UUID:
    """The lowest id of that instant: ids below it are earlier, it and those above it are not. None is before 1970."""
    microseconds = (max(instant, EPOCH) - EPOCH) // timedelta(microseconds=1)
    # Rounded up: an id of the tick that began before the instant is earlier than the instant.
    return _assemble(-(-microseconds * TICKS_PER_MS // 1_000), 0)


def _assemble(tick: int, random: int) -> uuid.UUID:
    milliseconds, fraction = divmod(tick, TICKS_PER_MS)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | random)
