"""Names a column in people's language."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0048_credits_gone_before"),
    ]

    operations = [
        migrations.AlterField(
            model_name="paidperiod",
            name="payment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="paid_periods",
                to="billing.payment",
                verbose_name="payment",
            ),
        ),
    ]
