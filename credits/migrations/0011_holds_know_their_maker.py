"""A hold knows whether its customer made it, who may then end it; credits/sql/hold.sql is installed anew to say so."""

from pathlib import Path

from django.db import migrations, models

HOLD = Path(__file__).parent.parent / "sql" / "hold.sql"
# Going back leaves it where it is, since the function that writes it stays as well; an older version needs neither.
COLUMN = "ALTER TABLE credits_hold ADD COLUMN IF NOT EXISTS is_customers_own boolean DEFAULT false NOT NULL"
# The new function has one parameter more, which callers of the old one leave out: two of the name are one too many.
OLD = """
DROP FUNCTION IF EXISTS credits_hold(
    bigint, text, bigint, text, uuid, text, integer, bigint, text, jsonb, uuid, timestamptz, integer, timestamptz)
"""


class Migration(migrations.Migration):
    dependencies = [("credits", "0010_expired_holds_within_limits")]

    # squawk-ignore: ban-drop-function - a client of the old one calls the new one, whose last parameter has a default
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL([COLUMN], migrations.RunSQL.noop)],
            state_operations=[
                migrations.AddField(
                    "hold", "is_customers_own", models.BooleanField(db_default=False, default=False, editable=False)
                )
            ],
        ),
        migrations.RunSQL([OLD, HOLD.read_text()], migrations.RunSQL.noop),
    ]
