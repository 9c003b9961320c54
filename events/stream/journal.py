"""The outbox as the stream process reads it: a few connections for everybody, however many streams are open."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connections
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

COLUMNS = "position, user_id, id, type, version, data, created_at"
# Whose events lie between two positions; one probe of the index for each customer who is here.
_WHO = """
SELECT u.id FROM unnest(%s::bigint[]) AS u(id)
 WHERE EXISTS (SELECT FROM events_event e WHERE e.user_id = u.id AND e.position > %s AND e.position <= %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An event that has its position."""

    position: int
    user_id: int
    id: str
    type: str
    version: int
    data: dict[str, Any]
    created_at: datetime

    def as_list(self) -> list[Any]:
        return [self.position, self.user_id, self.id, self.type, self.version, self.data, self.created_at]

    @classmethod
    def from_columns(cls, columns: Sequence[Any]) -> "Row":
        position, user_id, event_id, kind, version, data, created_at = columns
        if isinstance(created_at, str):
            created_at = datetime.fromisoformat(created_at)
        return cls(
            position=position,
            user_id=user_id,
            id=str(event_id),
            type=kind,
            version=version,
            data=data,
            created_at=created_at,
        )


class Journal:
    def __init__(self) -> None:
        parameters = dict(connections["default"].get_connection_params())
        for of_django in ("cursor_factory", "context"):  # they make connections of threads
            parameters.pop(of_django, None)
        # Without prepared statements, so that a pooler of transactions may stand between.
        parameters |= {"autocommit": True, "prepare_threshold": None, "application_name": "tirelire-stream"}
        self.pool: AsyncConnectionPool[AsyncConnection[Any]] = AsyncConnectionPool(
            kwargs=parameters,
            min_size=1,
            max_size=settings.STREAM_DATABASE_CONNECTIONS,
            timeout=settings.STREAM_DATABASE_WAIT_SECONDS,
            reconnect_timeout=2,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def open(self) -> None:
        await self.pool.open()

    async def close(self) -> None:
        await self.pool.close()

    async def place(self, most: int) -> list[Row]:
        """Give positions to what has none yet; empty also when another process is doing it."""
        found = await self._rows(f"SELECT {COLUMNS} FROM events_place(%s) ORDER BY position", (most,))  # noqa: S608
        return [Row.from_columns(columns) for columns in found]

    async def head(self) -> int:
        found = await self._rows("SELECT position FROM events_streamhead", ())
        return int(found[0][0]) if found else 0

    async def since(self, user_id: int, position: int, most: int) -> list[Row]:
        found = await self._rows(
            f"SELECT {COLUMNS} FROM events_event WHERE user_id = %s AND position > %s ORDER BY position LIMIT %s",  # noqa: S608
            (user_id, position, most),
        )
        return [Row.from_columns(columns) for columns in found]

    async def who(self, user_ids: Collection[int], after: int, upto: int) -> set[int]:
        return {found for (found,) in await self._rows(_WHO, (list(user_ids), after, upto))}

    async def position_of(self, user_id: int, event_id: UUID) -> int | None:
        """Where a customer's event stands; None when it is not theirs, or there is none such."""
        found = await self._rows(
            "SELECT position FROM events_event WHERE id = %s AND user_id = %s AND position IS NOT NULL",
            (event_id, user_id),
        )
        return int(found[0][0]) if found else None

    async def last_of(self, user_id: int) -> tuple[int, str] | None:
        """The last event of a customer that has a position: where it stands, and its id."""
        found = await self._rows(
            "SELECT position, id FROM events_event WHERE user_id = %s AND position IS NOT NULL"
            " ORDER BY position DESC LIMIT 1",
            (user_id,),
        )
        return (int(found[0][0]), str(found[0][1])) if found else None

    async def _rows(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query.encode(), parameters)
            return await cursor.fetchall()
