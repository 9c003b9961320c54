"""A payment is found by what its caller calls it."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0034_payments_of_an_order")]

    operations = [
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("reference", ""), _negated=True), fields=["reference"], name="payment_by_reference"
            ),
        ),
    ]
