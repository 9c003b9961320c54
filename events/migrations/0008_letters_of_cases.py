# squawk-ignore: ban-drop-constraint - the same constraint comes back in this transaction, and its list only grows

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0007_positions_indexed")]

    operations = [
        migrations.RemoveConstraint(model_name="message", name="message_kind_known"),
        migrations.AlterField(
            model_name="message",
            name="kind",
            field=models.CharField(
                choices=[
                    ("receipt", "receipt"),
                    ("payment_failed", "payment failed"),
                    ("past_due", "renewal not paid"),
                    ("renewal_reminder", "renewal reminder"),
                    ("top_up_suspended", "automatic top-up suspended"),
                    ("credits_low", "credits low"),
                    ("credits_expiring", "credits about to expire"),
                    ("weekly_grant", "credits of the plan"),
                    ("refund", "refund"),
                    ("withdrawal", "withdrawal"),
                    ("dispute", "dispute"),
                    ("endpoint_disabled", "webhook endpoint disabled"),
                    ("case", "case for operators"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        AddConstraintNotValid(
            model_name="message",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "receipt",
                            "payment_failed",
                            "past_due",
                            "renewal_reminder",
                            "top_up_suspended",
                            "credits_low",
                            "credits_expiring",
                            "weekly_grant",
                            "refund",
                            "withdrawal",
                            "dispute",
                            "endpoint_disabled",
                            "case",
                        ],
                    )
                ),
                name="message_kind_known",
            ),
        ),
    ]
