"""What the home page of the admin asks for: events of gateways that nobody could read, refunds to be sent by hand."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0036_what_support_searches_by")]

    operations = [
        AddIndexConcurrently(
            model_name="gatewayletter",
            index=models.Index(
                condition=models.Q(("state__in", ["dead", "unknown"])), fields=["-id"], name="gateway_letter_to_look_at"
            ),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(condition=models.Q(("status", "manual")), fields=["id"], name="refund_by_hand"),
        ),
    ]
