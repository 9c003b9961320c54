"""Two database roles: one owns the tables and migrates, the other is what the application runs as and owns nothing."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from psycopg import sql

# Partitions are tables of their own: whoever may write to one goes round the rules of its parent.
_TREE = """
    WITH RECURSIVE tree AS (
        SELECT to_regclass({table})::oid AS oid
        UNION ALL
        SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
    )
    SELECT oid::regclass FROM tree WHERE oid IS NOT NULL
"""

_ROLE = """DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN CREATE ROLE {role} LOGIN; END IF;
END $$;"""

_OWN_EVERYTHING = """DO $$
DECLARE statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER %s %s OWNER TO %I',
                      CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                                   ELSE 'TABLE' END, oid::regclass, {owner_name})
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND pg_get_userbyid(relowner) <> {owner_name}
          AND NOT EXISTS (SELECT FROM pg_depend  -- an identity's sequence follows its table; an extension's is its own
                          WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
                            AND (deptype = 'e' OR (relkind = 'S' AND deptype IN ('i', 'a'))))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', oid::regprocedure, {owner_name})
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND pg_get_userbyid(proowner) <> {owner_name}
          AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                            AND deptype = 'e')
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;"""

_GRANTS = """ALTER DATABASE {database} OWNER TO {owner};
ALTER SCHEMA public OWNER TO {owner};
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {app};
GRANT CONNECT ON DATABASE {database} TO {app};
GRANT USAGE ON SCHEMA public TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {app};
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {app};
ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT EXECUTE ON ROUTINES TO {app};"""

_APPEND_ONLY = """DO $$
DECLARE part regclass;
BEGIN
    FOR part IN {tree} LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I', part, {app_name});
    END LOOP;
END $$;"""

_EXCESS = """
SELECT format('owns %s', relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND pg_get_userbyid(relowner) = current_user
UNION ALL
SELECT 'is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
"""


def statements(*, database: str, owner: str, app: str) -> list[str]:
    """The SQL that makes both roles and says what they may do; running it again after a migration is how it is kept."""
    names = {
        "database": sql.Identifier(database),
        "owner": sql.Identifier(owner),
        "app": sql.Identifier(app),
        "owner_name": sql.Literal(owner),
        "app_name": sql.Literal(app),
    }

    def written(template: str, **more: sql.Composable) -> str:
        return sql.SQL(template).format(**names, **more).as_string()

    made = [
        written(_ROLE, name=sql.Literal(owner), role=sql.Identifier(owner)),
        written(_ROLE, name=sql.Literal(app), role=sql.Identifier(app)),
        written(_OWN_EVERYTHING),
        *written(_GRANTS).splitlines(),
    ]
    for table in append_only_tables():
        tree = sql.SQL(_TREE).format(table=sql.Literal(table))
        made.append(written(_APPEND_ONLY, tree=tree))
    return made


def append_only_tables() -> list[str]:
    tables = []
    for label in settings.APPEND_ONLY_MODELS:
        try:
            tables.append(apps.get_model(label)._meta.db_table)
        except (LookupError, ValueError) as error:
            raise ImproperlyConfigured(f"APPEND_ONLY_MODELS names {label!r}, which is no model: {error}") from error
    return tables


def excess_privileges(connection: Any) -> list[str]:
    """What the role of this connection may do and should not; empty when it is the application's role."""
    with connection.cursor() as cursor:
        cursor.execute(_EXCESS)
        found = [row[0] for row in cursor.fetchall()]
        for table in append_only_tables():
            for privilege in ("UPDATE", "DELETE", "TRUNCATE"):
                cursor.execute("SELECT has_table_privilege(to_regclass(%s), %s)", [table, privilege])
                if cursor.fetchone()[0]:
                    found.append(f"may {privilege} {table}")
    return found if len(found) <= 3 else [*found[:3], f"and {len(found) - 3} more"]  # noqa: PLR2004
