"""Installs what gives credits anew: grants come as rows instead of JSON, and purses are looked at in one pass."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"
# A new database has it by 0003 already, which reads types.sql as it is today.
TYPE = """
DO $$ BEGIN
    IF to_regtype('credits_new_grant') IS NULL THEN
        CREATE TYPE credits_new_grant AS (
            key text, user_id bigint, amount bigint, source text, priority smallint, is_promotional boolean,
            expires_at timestamptz, paid_minor bigint, paid_currency text, reason text, issued_by bigint
        );
    END IF;
END $$
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0006_grant_due")]

    operations = [
        migrations.RunSQL(
            [TYPE, *((SQL / f"{name}.sql").read_text() for name in ("purse", "issue", "due"))], migrations.RunSQL.noop
        )
    ]
