"""E-mails that were given up: what the home page of the admin asks for."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("events", "0010_messages_sent_again")]

    operations = [
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(condition=models.Q(("state", "failed")), fields=["-id"], name="message_failed"),
        ),
    ]
