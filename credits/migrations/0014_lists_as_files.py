"""Who may take lists of grants and spends away."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("credits", "0013_parts_come_back_by_themselves")]

    operations = [
        migrations.AlterModelOptions(
            name="grant",
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("issue_grant", "Can issue grants"),
                    ("revoke_grant", "Can revoke grants"),
                    ("extend_grant", "Can extend grants"),
                    ("freeze_grant", "Can freeze and unfreeze grants"),
                    ("adjust_credits", "Can adjust credits by hand"),
                    ("export_grant", "Can download grants"),
                ],
                "verbose_name": "grant",
                "verbose_name_plural": "grants",
            },
        ),
        migrations.AlterModelOptions(
            name="spend",
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("reverse_spend", "Can give a spend back"),
                    ("spend_credits", "Can spend a customer's credits"),
                    ("export_spend", "Can download spends"),
                ],
                "verbose_name": "spend",
                "verbose_name_plural": "spends",
            },
        ),
    ]
