"""What a caller calls a payment: a reference of theirs and their notes, both empty in all that is there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0033_figures")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="reference",
            field=models.CharField(blank=True, db_default="", default="", max_length=200, verbose_name="reference"),
        ),
        migrations.AddField(
            model_name="payment",
            name="metadata",
            field=models.JSONField(blank=True, db_default={}, default=dict, verbose_name="notes of the caller"),
        ),
    ]
