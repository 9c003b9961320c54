"""The index of sales by what cleared them, made while others sell."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("wallets", "0003_returned_withdrawals_checked")]

    operations = [
        AddIndexConcurrently(
            model_name="sale",
            index=models.Index(
                condition=models.Q(("release_entry__isnull", False)), fields=["release_entry"], name="sale_by_release"
            ),
        ),
    ]
