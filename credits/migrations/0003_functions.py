"""Installs credits/sql: the functions of the hot path. A changed file comes with a migration that installs it anew."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"
# Each file uses only what stands before it.
FILES = ["types", "purse", "book", "limits", "spend", "batch", "hold", "reverse", "issue", "close"]


def text(name: str) -> list[str]:
    # In a list, the text reaches the database whole: Django would split a string at every semicolon.
    return [(SQL / f"{name}.sql").read_text()]


class Migration(migrations.Migration):
    dependencies = [("credits", "0002_holdings"), ("events", "0001_outbox"), ("ledger", "0002_guards")]

    operations = [migrations.RunSQL([part for name in FILES for part in text(name)], text("drop"))]
