"""A statement that answers one row at most, prepared on its connection and sent by libpq's own blocking call.

A cursor of psycopg's sends and waits in steps of Python, at each of which the threads of a process fight for the
interpreter anew. libpq's call lets it go once; `bench ledger` shows what that is worth: (b) beside (a). It gives up
psycopg's waiting, which a signal can interrupt: here DATABASE_STATEMENT_TIMEOUT_MS ends what takes too long.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

Parameter = int | str | UUID | datetime | None
Value = bytes | None  # as PostgreSQL writes it

# A migration has changed what it answers, or it was deallocated: it is to be prepared anew.
_GONE = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)
_numbers = count()


def one_row(raw: "psycopg.Connection", sql: str, parameters: Sequence[Parameter], *, prepares: bool) -> list[Value]:
    """`sql` is a constant, so that few are kept, with a cast at each `$n`, so that all parameters travel as text."""
    if not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE:
        raw.execute("")  # psycopg begins a transaction before the first statement that it sends itself
    texts = [each.encode() if type(each) is str else _text(each) for each in parameters]
    server = raw.pgconn
    # In a transaction a statement that is gone would be found out too late, and psycopg deallocates all of them after
    # a rollback.
    if not prepares or server.transaction_status != TransactionStatus.IDLE:
        return _values(server.exec_params(sql.encode(), texts), server)
    try:
        return _values(_answer(raw, sql, texts), server)
    except _GONE:
        _names(raw).pop(sql, None)
    return _values(_answer(raw, sql, texts), server)


def _answer(raw: "psycopg.Connection", sql: str, texts: list[Value]) -> PGresult:
    names = _names(raw)
    if (name := names.get(sql)) is None:
        name = f"credits_{next(_numbers)}".encode()
        _check(raw.pgconn.prepare(name, sql.encode()), ExecStatus.COMMAND_OK, raw.pgconn)
        names[sql] = name
    return raw.pgconn.exec_prepared(name, texts)  # type: ignore[arg-type]  # None is NULL


def _names(raw: Any) -> dict[str, bytes]:
    """By which names this connection knows its statements."""
    known: dict[str, bytes] | None = getattr(raw, "credits_statements", None)
    if known is None:
        known = raw.credits_statements = {}
    return known


def _values(result: PGresult, server: PGconn) -> list[Value]:
    _check(result, ExecStatus.TUPLES_OK, server)
    return [result.get_value(0, column) for column in range(result.nfields)] if result.ntuples else []


def _check(result: PGresult, wanted: ExecStatus, server: PGconn) -> None:
    if result.status == wanted:
        return
    if server.status != ConnStatus.OK and not result.error_field(DiagnosticField.SQLSTATE):
        raise psycopg.OperationalError(result.get_error_message())  # it died without a word of its own
    raise errors.error_from_result(result)


def _text(value: Parameter) -> Value:
    if value is None:
        return None
    return (value.isoformat() if isinstance(value, datetime) else str(value)).encode()
