"""After a restart of the database every connection that is kept is dead: one answer finds out, and speaks for all.

Threads of the web server keep theirs from request to request (DATABASE_KEEP_SECONDS). As many connections are open as a
pool of that many would have, and a request pays nothing for being lent one.
"""

import threading
from typing import Any

from django.core.signals import request_started
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

_generation = 0  # of the connections of this process; those of an earlier one are not to be trusted
_checking = threading.Lock()


def replace_broken() -> None:
    """Called when a statement found its connection gone; without it each of the others would fail one request."""
    global _generation  # noqa: PLW0603 - one more is never wrong: it costs each thread one new connection
    _generation += 1
    if not _checking.acquire(blocking=False):
        return
    try:
        for alias in connections:
            pool = getattr(connections[alias], "pool", None)
            if pool is not None and not pool.closed:
                pool.check()
    finally:
        _checking.release()


@receiver(connection_created)
def _note(connection: BaseDatabaseWrapper, **_: Any) -> None:
    connection.tirelire_generation = _generation  # type: ignore[attr-defined]


@receiver(request_started)
def _close_what_is_dead(**_: Any) -> None:
    for each in connections.all(initialized_only=True):
        if getattr(each, "tirelire_generation", _generation) != _generation and not each.in_atomic_block:
            each.close()
