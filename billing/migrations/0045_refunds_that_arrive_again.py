"""How often a refund has come back after it had arrived: what follows then is booked and papered anew."""

# squawk-ignore: require-concurrent-index-deletion - the same index comes back in this transaction, one column wider
# squawk-ignore: require-concurrent-index-creation - in it are the papers of refunds alone, which are few

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0044_lines_of_customers")]

    operations = [
        migrations.RemoveConstraint(model_name="invoice", name="invoice_corrected_once_per_refund"),
        migrations.AddField(
            model_name="invoice",
            name="times_back",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name="refund",
            name="times_back",
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("refund__isnull", False)),
                fields=("refund", "corrects", "times_back"),
                name="invoice_corrected_once_per_refund",
            ),
        ),
    ]
