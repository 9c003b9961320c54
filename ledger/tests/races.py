"""Rivals: run acts at the same moment in real threads, each with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection

T = TypeVar("T")

# Only a rival that hangs meets this; a race that is won or lost is over long before.
PATIENCE_SECONDS = 60
NO_ROW = "no_row_at_all"


def run_together(count: int, act: Callable[[], T]) -> list[T]:
    """Run the act in so many threads at once; returns what each returned, and raises what any of them raised.

    The test needs `django_db(transaction=True)`: rivals see only what is committed.
    """
    return run_all([act] * count)


def run_all(acts: Sequence[Callable[[], T]]) -> list[T]:
    """The same for different acts."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        try:
            connection.ensure_connection()  # so that what starts together is the act, not the way to the database
            barrier.wait(PATIENCE_SECONDS)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return [future.result() for future in [threads.submit(run, act) for act in acts]]


def meeting_of(count: int) -> Callable[[], None]:
    """For a canary: call it between the look and the act, and all have looked before the first of them acts.

    Each thread waits once; what it looks at again later does not hold it up.
    """
    barrier, been_there = threading.Barrier(count), threading.local()

    def meet() -> None:
        if not getattr(been_there, "once", False):
            been_there.once = True
            barrier.wait(PATIENCE_SECONDS)

    return meet


@contextmanager
def without_constraint(table: str, name: str) -> Iterator[None]:
    """Take one constraint out of the database, and put it back once the books are emptied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name])
        (definition,) = cursor.fetchone()
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        try:
            yield
        finally:
            empty_the_books()
            cursor.execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def refuse_every_row(table: str) -> None:
    """From now on the database says no, and for no reason that anybody waits for. The end of the test takes it back,
    so that it needs one that is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {NO_ROW} CHECK (false) NOT VALID")


@contextmanager
def without_trigger(table: str, name: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {name}")


def empty_the_books() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE ledger_account, ledger_entry, ledger_entrykey, ledger_transfer, ledger_hold, ledger_housetotal, "
            "ledger_rollup CASCADE"
        )
