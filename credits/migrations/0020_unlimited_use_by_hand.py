"""What people allow by hand outlives the plans that end before it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("credits", "0019_batches_across_midnight"),
    ]

    operations = [
        migrations.AddField(
            model_name="purse",
            name="given_fair_use",
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="purse",
            name="given_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
