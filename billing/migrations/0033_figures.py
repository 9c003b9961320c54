"""The page of figures has a permission of its own."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0032_margins")]

    operations = [
        migrations.CreateModel(
            name="Figures",
            fields=[],
            options={
                "verbose_name": "figures",
                "verbose_name_plural": "figures",
                "proxy": True,
                "default_permissions": ("view",),
                "indexes": [],
                "constraints": [],
            },
            bases=("billing.payment",),
        ),
    ]
