"""E-mails that were given up: what the home page of the admin asks for."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("events", "0009_letters_of_cases_checked")]

    operations = [
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(condition=models.Q(("state", "failed")), fields=["-id"], name="message_failed"),
        ),
    ]
