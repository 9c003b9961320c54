"""Two at once, the same way every time: the first has acted and not yet committed when the second comes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from django.db import connection, transaction

First = TypeVar("First")
Second = TypeVar("Second")
PATIENCE_SECONDS = 60  # only a rival that hangs meets this


class Met(NamedTuple, Generic[First, Second]):
    first: First
    second: Second
    second_waited: bool


def second_while_the_first_is_open(first: Callable[[], First], second: Callable[[], Second]) -> Met[First, Second]:
    """The first commits once the second is done, or waits for it."""

    def act_apart() -> Second:
        try:
            return second()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            found = first()
            later = threads.submit(act_apart)
            while not (waits := _somebody_waits_for_me()) and not later.done():
                pass
        return Met(found, later.result(PATIENCE_SECONDS), waits)


def _somebody_waits_for_me() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        )
        return bool(cursor.fetchone()[0])
