"""Installs batches anew: each spend counts in the day and month of its own instant."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0018_grants_that_do_not_repay_yet")]

    operations = [migrations.RunSQL((SQL / "batch.sql").read_text(), migrations.RunSQL.noop)]
