"""Installs events/sql: the trigger that notes whatever is written to the outbox."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


def text(name: str) -> list[str]:
    # In a list, the text reaches the database whole: Django would split a string at every semicolon.
    return [(SQL / f"{name}.sql").read_text()]


class Migration(migrations.Migration):
    dependencies = [("events", "0004_telling")]

    operations = [migrations.RunSQL(text("untold"), text("drop"))]
