"""A ticket remembers the service token that asked for it, and opens nothing once that is revoked."""
# squawk-ignore: adding-foreign-key-constraint - tickets last for seconds: the scan is over at once

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0012_messages_are_e_mails"), ("rest", "0002_idempotency_records")]

    operations = [
        migrations.AddField(
            model_name="streamticket",
            name="token",
            field=models.ForeignKey(
                null=True,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="rest.servicetoken",
                verbose_name="service token",
            ),
        ),
    ]
