"""Installs credits/sql/due.sql: the function that grants what is due."""

from pathlib import Path

from django.db import migrations

DUE = Path(__file__).parent.parent / "sql" / "due.sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0005_calendar")]

    operations = [migrations.RunSQL([DUE.read_text()], "DROP FUNCTION credits_grant_due")]
