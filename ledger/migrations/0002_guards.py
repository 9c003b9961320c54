"""Installs sql/guards.sql: the triggers by which the database refuses what no code may do."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        # squawk-ignore: require-concurrent-index-deletion - the table was made a moment ago and is empty
        # In a list, the text reaches the database whole: Django would split a string at every semicolon.
        migrations.RunSQL(
            [(SQL / "guards.sql").read_text()],
            [(SQL / "guards_reverse.sql").read_text()],
        )
    ]
