"""Gives a test that committed its database back as migrations left it.

Django empties all of some 250 tables by TRUNCATE and then makes every content type and permission anew: half a second
to a second each time. Here only tables that have rows lose them, and those that migrations filled get theirs back.
What was deleted or rolled back stays in the file until a vacuum, so that a file that has grown is truncated after all.
"""

from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

_TABLES = """
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY c.relname
"""

_GROWN = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
   AND pg_relation_size(c.oid) > %s
"""
GROWN_BYTES = 1_000_000


class Restorer:
    """Stands in for `connection.ops.sql_flush`, which the flush after each such test calls."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
            self.tables = [name for (name,) in cursor.fetchall()]
            self.rows = {name: self._read(cursor, name) for name in self._filled(cursor)}

    @staticmethod
    def is_allowed() -> bool:
        """Leaving triggers and foreign keys out is for superusers, as the embedded servers and CI give us."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            return bool(cursor.fetchone()[0])

    def install(self, wrapper: BaseDatabaseWrapper) -> None:
        wrapper.ops.sql_flush = self  # type: ignore[method-assign]

    def __call__(self, *_: Any, **__: Any) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers, no foreign keys
            cursor.execute(_GROWN, [GROWN_BYTES])
            if grown := [sql.Identifier(name) for (name,) in cursor.fetchall()]:
                cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(grown)))
            for name in sorted({*self._filled(cursor), *self.rows}):
                cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for name, rows in self.rows.items():
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
                    copy.write(rows)
            cursor.execute("COMMIT")
        return []  # nothing is left to Django to run, and what listens to migrations is not called

    def _filled(self, cursor: Any) -> list[str]:
        probe = sql.SQL("SELECT {name} WHERE EXISTS (SELECT FROM {table})")
        probes = [probe.format(name=sql.Literal(name), table=sql.Identifier(name)) for name in self.tables]
        cursor.execute(sql.SQL(" UNION ALL ").join(probes))
        return [name for (name,) in cursor.fetchall()]

    @staticmethod
    def _read(cursor: Any, name: str) -> bytes:
        with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name))) as copy:
            return b"".join(bytes(piece) for piece in copy)
