from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0014_payouts")]

    operations = [
        migrations.RemoveIndex(model_name="subscription", name="subscription_to_look_at"),
        migrations.AddIndex(
            model_name="subscription",
            index=models.Index(
                condition=models.Q(("status__in", ("incomplete", "trialing", "active", "past_due"))),
                fields=["next_look_at"],
                name="subscription_to_look_at",
            ),
        ),
    ]
