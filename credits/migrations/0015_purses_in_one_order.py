"""Installs what locks several purses anew: by their numbers, whatever their units."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0014_lists_as_files")]

    operations = [
        migrations.RunSQL([(SQL / f"{name}.sql").read_text() for name in ("purse", "due")], migrations.RunSQL.noop)
    ]
