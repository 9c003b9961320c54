"""Installs batches of spends anew: those of one customer are booked together."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0007_grants_in_sets")]

    operations = [migrations.RunSQL([(SQL / "batch.sql").read_text()], migrations.RunSQL.noop)]
