"""Addresses under which a customer had something that is for each person once, and has them no more."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0039_plans_wait_for_one_payment")]

    operations = [
        migrations.AddField(
            model_name="customer", name="person_since", field=models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddField(
            model_name="customer",
            name="earlier_persons",
            field=ArrayField(models.CharField(max_length=64), db_default=[], default=list, editable=False),
        ),
    ]
