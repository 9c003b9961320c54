"""A check that costs nothing to those who leave its columns alone."""

import re

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_COLUMN = re.compile(r'"(\w+)"')


class SettingCheck(models.CheckConstraint):
    """A check of settings in a row that is written all the time: a trigger that only a write of those settings fires.

    PostgreSQL reads the text of every CHECK of a table again in each statement that writes to it, whatever it writes;
    a spend writes to its purse, and had those of its settings read for nothing. It refuses in the words of a CHECK.
    """

    def constraint_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:  # type: ignore[override]
        schema_editor.deferred_sql.append(self.create_sql(model, schema_editor))  # the table is not there yet

    def create_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:  # type: ignore[override]
        check = self._get_check_sql(model, schema_editor)  # type: ignore[attr-defined]  # Django's own, unknown to its stubs
        columns = ", ".join(f'"{name}"' for name in sorted(set(_COLUMN.findall(check))))
        table = schema_editor.quote_name(model._meta.db_table)
        refusal = f"""RAISE check_violation USING CONSTRAINT = '{self.name}', TABLE = '{model._meta.db_table}',
            MESSAGE = 'new row for relation {table} violates check constraint "{self.name}"'"""
        of_new = _COLUMN.sub(r'NEW."\1"', check)
        return f"""
            CREATE FUNCTION "{self.name}"() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF ({of_new}) IS FALSE THEN {refusal}; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER "{self.name}" BEFORE INSERT OR UPDATE OF {columns} ON {table}
                FOR EACH ROW EXECUTE FUNCTION "{self.name}"();
            DO $$
            BEGIN
                IF EXISTS (SELECT FROM {table} WHERE ({check}) IS FALSE) THEN {refusal}; END IF;
            END $$"""

    def remove_sql(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> str:  # type: ignore[override]
        table = schema_editor.quote_name(model._meta.db_table)
        return f'DROP TRIGGER "{self.name}" ON {table}; DROP FUNCTION "{self.name}"()'

    def __eq__(self, other: object) -> bool:
        """Not what a CHECK of the same words is, or a migration would see no change between them."""
        return isinstance(other, SettingCheck) and super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as of every constraint
