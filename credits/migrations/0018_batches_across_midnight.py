"""Installs batches anew: each spend counts in the day and month of its own instant."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0017_freezes_know_their_owner_checked")]

    operations = [migrations.RunSQL((SQL / "batch.sql").read_text(), migrations.RunSQL.noop)]
