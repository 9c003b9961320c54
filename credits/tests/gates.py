"""Races that happen every time: a gate inside an SQL function stops rivals at the worst place until all are there."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

SQL = Path(__file__).parent.parent / "sql"
GATE = 772_001
# Rivals of this database: the other worker of the suite has a gate of the same number.
AT_THE_GATE = (
    "locktype = 'advisory' AND NOT granted AND objid = %s"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
PATIENCE_SECONDS = 60


@contextmanager
def variant(*changes: tuple[str, str, str, str]) -> Iterator[None]:
    """Install functions with other text: (file, function, what, by what); the real ones come back afterwards."""
    texts: dict[tuple[str, str], str] = {}
    for file, function, what, by_what in changes:
        text = texts.get((file, function)) or source_of(file, function)
        assert what in text, f"{function} has no {what!r}"
        texts[file, function] = text.replace(what, by_what)
    with connection.cursor() as cursor:
        try:
            for text in texts.values():
                cursor.execute(text)
            yield
        finally:
            for file, function in texts:
                cursor.execute(source_of(file, function))


def source_of(file: str, function: str) -> str:
    found = re.search(
        rf"^CREATE OR REPLACE FUNCTION {function}\(.*?^END \$\$;", (SQL / file).read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"{file} has no {function}"
    return found[0]


def gated(file: str, function: str, before: str) -> tuple[str, str, str, str]:
    """A change that makes the function wait at the gate before a statement of it."""
    return file, function, before, f"PERFORM pg_advisory_xact_lock_shared({GATE});\n    {before}"


def gated_inside(file: str, function: str, condition: str) -> tuple[str, str, str, str]:
    """The same in the middle of a statement, which has its snapshot by then: before it asks a condition of a row."""
    return file, function, condition, f"pg_advisory_xact_lock_shared({GATE})::text = '' AND {condition}"


def wait_at_the_gate() -> None:
    """The same for rivals in Python: what they have locked they keep, since they are in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [GATE])


def run_through_the_gate(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start the acts; open the gate once each of them waits for a lock or is done. Errors are results as well."""
    begun = threading.Barrier(len(acts) + 1)
    backends: list[int] = []

    def run(act: Callable[[], Any]) -> Any:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backends.append(cursor.fetchone()[0])
            begun.wait(PATIENCE_SECONDS)
            return act()
        except Exception as error:  # noqa: BLE001 - what reaches a client is what is looked at
            return error
        finally:
            connection.close()

    with connection.cursor() as cursor, ThreadPoolExecutor(len(acts)) as threads:
        cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
        try:
            futures = [threads.submit(run, act) for act in acts]
            begun.wait(PATIENCE_SECONDS)
            while not _all_wait_or_are_done(cursor, futures, backends):
                pass
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        wait(futures, PATIENCE_SECONDS)
    return [future.result() for future in futures]


def kind_of(result: Any) -> str:
    """In one word. Of what the database refused it names the constraint, or what else stopped it: a canary must meet
    just that, and no mistake of the test itself."""
    refusal = result.__cause__ if isinstance(result, Exception) else None
    if isinstance(refusal, psycopg.Error):
        return refusal.diag.constraint_name or type(refusal).__name__
    return str(result) if isinstance(result, str | int) else type(result).__name__


def wait_for_a_rival() -> None:
    """Until somebody stands at the gate."""
    with connection.cursor() as cursor:
        waiting = 0
        while not waiting:
            cursor.execute(
                f"SELECT count(*) FROM pg_locks WHERE {AT_THE_GATE}",  # noqa: S608 - a constant
                [GATE],
            )
            waiting = cursor.fetchone()[0]


def _all_wait_or_are_done(cursor: Any, futures: Sequence[Future[Any]], backends: Sequence[int]) -> bool:
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s) AND wait_event_type = 'Lock'", [list(backends)]
    )
    return bool(cursor.fetchone()[0] + sum(future.done() for future in futures) >= len(futures))
