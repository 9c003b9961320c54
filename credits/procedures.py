"""Calls of the SQL functions in credits/sql: one round trip each, and their refusals as exceptions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from credits import errors, prepared
from credits.prepared import Parameter, Value


@dataclass(frozen=True, slots=True)
class Answer:
    """credits_answer, as credits/sql/types.sql has it."""

    refusal: str | None
    facts: dict[str, Any]
    id: UUID
    amount: int
    metered: int
    available: int
    state: str
    version: int
    is_replay: bool
    at: datetime
    unit: str


def rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a query on Django's connection, prepared and with parameters bound by the server.

    Django's own cursor binds on the client and never prepares, which costs twice the time of a whole spend's Python.
    What it does besides is done here: dead connections are replaced, errors become Django's.
    """
    server = _ready()
    with server.wrap_database_errors, psycopg.Cursor(server.connection) as cursor:
        cursor.execute(sql.encode(), parameters, prepare=settings.CREDITS_PREPARED_STATEMENTS)
        return cursor.fetchall()


def _ready() -> BaseDatabaseWrapper:
    """This thread's own; `django.db.connection` would look it up at each word."""
    server = connections[DEFAULT_DB_ALIAS]
    server.close_if_health_check_failed()
    server.ensure_connection()
    server.validate_no_broken_transaction()
    return server


def one_row(sql: str, parameters: Sequence[Parameter]) -> list[Value]:
    """The row that a statement answers, or none; see `prepared` for what may be asked so, and why."""
    server = _ready()
    with server.wrap_database_errors:
        return prepared.one_row(server.connection, sql, parameters, prepares=settings.CREDITS_PREPARED_STATEMENTS)


def call(sql: str, parameters: Sequence[Parameter], *, key: str = "") -> Answer:
    """The answer of a function that gives one, or its refusal as an exception."""
    answer = _read(tuple(map(_from_text, one_row(sql, parameters), _READERS)))
    if answer.refusal is not None:
        raise refusal(answer, key)
    return answer


def answers(sql: str, parameters: Sequence[Any]) -> Iterator[Answer]:
    """Several answers, refused ones among them."""
    return map(_read, rows(sql, parameters))


# The facts that a refusal carries are the arguments of its exception.
_REFUSALS: dict[str, Callable[..., errors.CreditsError]] = {
    "insufficient_credits": errors.InsufficientCredits,
    "limit_reached": errors.LimitReached,
    "fair_use_reached": errors.FairUseReached,
    "hold_resolved": errors.HoldResolved,
    "hold_exceeded": errors.HoldExceeded,
    "spend_exceeded": errors.SpendExceeded,
    "not_found": errors.NotYours,
}


def refusal(answer: Answer, key: str) -> errors.CreditsError:
    assert answer.refusal  # noqa: S101 - see the callers
    if answer.refusal == "key_reused":
        return errors.KeyReused(key)
    return _REFUSALS[answer.refusal](**answer.facts)


def _read(row: tuple[Any, ...]) -> Answer:
    refused, facts, *rest = row
    return Answer(refused, orjson.loads(facts) if facts else {}, *rest)


def _from_text(value: Value, read: Callable[[str], Any]) -> Any:
    return None if value is None else read(value.decode())


# How PostgreSQL writes each column of credits_answer, to how `Answer` has it.
_READERS: tuple[Callable[[str], Any], ...] = (
    str, str, UUID, int, int, int, str, int, "t".__eq__, datetime.fromisoformat, str,
)  # fmt: skip
