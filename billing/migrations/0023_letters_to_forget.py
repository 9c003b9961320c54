"""The index of letters that may be forgotten holds those that are over, made while others come in."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0022_instructions_to_gateways")]

    operations = [
        AddIndexConcurrently(
            model_name="gatewayletter",
            index=models.Index(
                condition=models.Q(("state__in", ["done", "ignored"])),
                fields=["received_at"],
                name="gateway_letter_to_forget",
            ),
        ),
        RemoveIndexConcurrently(model_name="gatewayletter", name="gateway_letter_to_purge"),
    ]
