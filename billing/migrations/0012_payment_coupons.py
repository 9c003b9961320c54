# squawk-ignore: adding-foreign-key-constraint - the column is new and empty, so there is nothing to look through
# squawk-ignore: ban-drop-constraint - the new one allows all that it allowed, and what costs nothing besides

import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_coupons")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="redemption",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="billing.redemption",
                verbose_name="use of a coupon",
            ),
        ),
        AddConstraintNotValid(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount_minor__gt", 0), ("amount_minor__lte", 1000000000000000)),
                    models.Q(("amount_minor", 0), ("discount_minor__gt", 0)),
                    _connector="OR",
                ),
                name="payment_amount_positive_or_all_taken_off",
            ),
        ),
        migrations.RemoveConstraint(model_name="payment", name="payment_amount_positive"),
    ]
