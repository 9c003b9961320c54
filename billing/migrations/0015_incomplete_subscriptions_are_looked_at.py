from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL builds an index beside others' writes only outside a transaction

    dependencies = [("billing", "0014_payouts")]

    operations = [
        RemoveIndexConcurrently(model_name="subscription", name="subscription_to_look_at"),
        AddIndexConcurrently(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("status__in", ("incomplete", "trialing", "active", "past_due"))),
                fields=["next_look_at"],
                name="subscription_to_look_at",
            ),
        ),
    ]
