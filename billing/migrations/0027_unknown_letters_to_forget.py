"""The index of letters about nothing that we know, made while others come in: those of strangers are forgotten soon."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("billing", "0026_one_person")]

    operations = [
        AddIndexConcurrently(
            model_name="gatewayletter",
            index=models.Index(
                condition=models.Q(("state", "unknown")), fields=["received_at"], name="gateway_letter_unknown"
            ),
        ),
    ]
