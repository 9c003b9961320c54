"""Who may take the list of withdrawals away."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("wallets", "0005_withdrawals_by_urgency")]

    operations = [
        migrations.AlterModelOptions(
            name="withdrawal",
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("request_withdrawal", "Can request withdrawals for sellers"),
                    ("approve_withdrawal", "Can approve and reject withdrawals"),
                    ("export_withdrawal", "Can download withdrawals"),
                ],
                "verbose_name": "withdrawal",
                "verbose_name_plural": "withdrawals",
            },
        ),
    ]
