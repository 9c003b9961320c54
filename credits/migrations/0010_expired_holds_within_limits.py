"""Installs credits/sql/hold.sql anew: an expired hold is settled within the limits of the day on which it is."""

from pathlib import Path

from django.db import migrations

HOLD = Path(__file__).parent.parent / "sql" / "hold.sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0009_settings_checked_when_written")]

    operations = [migrations.RunSQL([HOLD.read_text()], migrations.RunSQL.noop)]
