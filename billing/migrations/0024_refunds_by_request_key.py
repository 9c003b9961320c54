"""A form that is sent twice makes one refund; the proof of a refund is not only of those made by hand."""
# squawk-ignore: require-concurrent-index-creation - refunds are few, and no row has the new column yet

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0023_letters_to_forget")]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="request_key",
            field=models.CharField(db_default="", default="", editable=False, max_length=100),
        ),
        migrations.AlterField(
            model_name="refund",
            name="proof",
            field=models.CharField(blank=True, max_length=200, verbose_name="proof"),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(
                condition=models.Q(("request_key", ""), _negated=True),
                fields=("payment", "request_key"),
                name="refund_once_per_request_key",
            ),
        ),
    ]
