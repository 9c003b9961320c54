"""The page of margins has a permission of its own."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0031_rates_of_overseas_departments"),
        ("credits", "0013_parts_come_back_by_themselves"),
    ]

    operations = [
        migrations.CreateModel(
            name="Margin",
            fields=[],
            options={
                "verbose_name": "margin",
                "verbose_name_plural": "margins",
                "proxy": True,
                "default_permissions": ("view",),
                "indexes": [],
                "constraints": [],
            },
            bases=("credits.spend",),
        ),
    ]
