"""What was paid and what was refunded lately: papers are issued by when that ended, whenever it began."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0024_refunds_by_request_key")]

    operations = [
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("status", "succeeded")), fields=["ended_at"], name="payment_paid_lately"
            ),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "succeeded")), fields=["ended_at"], name="refund_arrived_lately"
            ),
        ),
    ]
