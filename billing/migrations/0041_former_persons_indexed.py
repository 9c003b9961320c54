"""Who comes with an address that another account had before: found by index."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0040_former_persons")]

    operations = [
        AddIndexConcurrently(
            model_name="customer", index=GinIndex(fields=["earlier_persons"], name="customer_by_earlier_person")
        ),
    ]
