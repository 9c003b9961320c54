"""An e-mail address in whatever case, and the ids of refunds at gateways: what the lists of the admin are asked."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0035_payments_by_reference")]

    operations = [
        AddIndexConcurrently(
            model_name="customer",
            index=models.Index(Lower("email"), name="customer_by_email"),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["gateway_ids"], name="refund_by_gateway_id", opclasses=["jsonb_path_ops"]
            ),
        ),
    ]
