"""Who may take lists of payments and refunds away."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0037_what_waits_for_somebody")]

    operations = [
        migrations.AlterModelOptions(
            name="payment",
            options={
                "default_permissions": ("view",),
                "permissions": [
                    ("start_checkout", "Can start checkouts for customers"),
                    ("cancel_payment", "Can cancel payments"),
                    ("refresh_payment", "Can ask a gateway about a payment"),
                    ("export_payment", "Can download payments"),
                ],
                "verbose_name": "payment",
                "verbose_name_plural": "payments",
            },
        ),
        migrations.AlterModelOptions(
            name="refund",
            options={
                "default_permissions": ("view",),
                "ordering": ["-id"],
                "permissions": [
                    ("request_refund", "Can refund payments"),
                    ("prove_refund", "Can confirm refunds made by hand"),
                    ("export_refund", "Can download refunds"),
                ],
                "verbose_name": "refund",
                "verbose_name_plural": "refunds",
            },
        ),
    ]
