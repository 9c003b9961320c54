"""Installs credits/sql/hold.sql anew: a hold answers when it ends, also when its key comes again."""

from pathlib import Path

from django.db import migrations

HOLD = Path(__file__).parent.parent / "sql" / "hold.sql"


class Migration(migrations.Migration):
    dependencies = [("credits", "0003_functions")]

    operations = [migrations.RunSQL([HOLD.read_text()], migrations.RunSQL.noop)]
