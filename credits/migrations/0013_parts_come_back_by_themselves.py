"""Installs credits/sql/reverse.sql anew: each part of a spend whose grant is over comes back as a grant of its own."""

from pathlib import Path

from django.db import migrations

REVERSE = Path(__file__).parent.parent / "sql" / "reverse.sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0012_allowances_from_zero_on")]

    operations = [migrations.RunSQL([REVERSE.read_text()], migrations.RunSQL.noop)]
