"""Looks at the rows that were there before, without keeping others from writing."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0012_payment_coupons")]

    operations = [
        ValidateConstraint(model_name="payment", name="payment_amount_positive_or_all_taken_off"),
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("redemption__isnull", False)), fields=["redemption"], name="payment_by_redemption"
            ),
        ),
    ]
