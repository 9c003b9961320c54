"""Installs credits/sql/reverse.sql anew: what comes back of a spend takes no allowance's counter below zero."""

from pathlib import Path

from django.db import migrations

REVERSE = Path(__file__).parent.parent / "sql" / "reverse.sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0011_holds_know_their_maker")]

    operations = [migrations.RunSQL([REVERSE.read_text()], migrations.RunSQL.noop)]
