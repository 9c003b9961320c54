# squawk-ignore: require-concurrent-index-deletion - invoices came with the same release, so there are few
# squawk-ignore: require-concurrent-index-creation - invoices came with the same release, so there are few
# squawk-ignore: constraint-missing-not-valid - invoices came with the same release, so there are few
# squawk-ignore: ban-drop-constraint - each comes back wider in the same transaction
# squawk-ignore: ban-drop-not-null - who reads invoices comes with this release
# squawk-ignore: adding-required-field - their tables are made by this migration
# squawk-ignore: adding-foreign-key-constraint - their tables are made by this migration

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_invoices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="InvoiceMailing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("address", models.EmailField(max_length=254, verbose_name="e-mail")),
                ("requested_at", models.DateTimeField(auto_now_add=True, verbose_name="asked at")),
                ("sent_at", models.DateTimeField(blank=True, null=True, verbose_name="sent at")),
                ("next_try_at", models.DateTimeField(blank=True, null=True, verbose_name="tried next at")),
                ("tries", models.PositiveSmallIntegerField(default=0, verbose_name="tries")),
                ("error", models.CharField(blank=True, max_length=100, verbose_name="last error")),
            ],
            options={
                "verbose_name": "invoice by mail",
                "verbose_name_plural": "invoices by mail",
                "ordering": ["-id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="TaxedUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(verbose_name="month")),
                ("credits", models.BigIntegerField(verbose_name="credits until then")),
                ("gross_minor", models.BigIntegerField(verbose_name="amount in minor units")),
                ("tax_minor", models.BigIntegerField(verbose_name="tax in minor units")),
            ],
            options={
                "verbose_name": "taxed use",
                "verbose_name_plural": "taxed uses",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="VatCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("vat_number", models.CharField(max_length=20, verbose_name="VAT number")),
                (
                    "outcome",
                    models.CharField(
                        choices=[("valid", "valid"), ("invalid", "invalid"), ("unreachable", "out of reach")],
                        max_length=11,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "consultation",
                    models.CharField(blank=True, max_length=100, verbose_name="number of the consultation"),
                ),
                ("name", models.CharField(blank=True, max_length=300, verbose_name="name")),
                ("address", models.CharField(blank=True, max_length=500, verbose_name="address")),
                ("reply", models.JSONField(default=dict, verbose_name="reply")),
                ("asked_at", models.DateTimeField(auto_now_add=True, verbose_name="asked at")),
            ],
            options={
                "verbose_name": "check of a VAT number",
                "verbose_name_plural": "checks of VAT numbers",
                "ordering": ["-id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.AlterModelOptions(
            name="invoice",
            options={
                "default_permissions": ("view",),
                "ordering": ["-id"],
                "permissions": [
                    ("issue_invoice", "Can have invoices issued"),
                    ("mail_invoice", "Can send invoices by mail"),
                    ("export_invoice", "Can download all invoices of a month"),
                ],
                "verbose_name": "invoice",
                "verbose_name_plural": "invoices",
            },
        ),
        migrations.RemoveConstraint(
            model_name="invoice",
            name="invoice_once_per_payment",
        ),
        migrations.RemoveConstraint(
            model_name="invoice",
            name="invoice_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="invoice",
            name="invoice_credit_note_corrects_an_invoice",
        ),
        migrations.AddField(
            model_name="customer",
            name="address",
            field=models.CharField(blank=True, db_default="", max_length=200, verbose_name="address"),
        ),
        migrations.AddField(
            model_name="customer",
            name="city",
            field=models.CharField(blank=True, db_default="", max_length=100, verbose_name="city"),
        ),
        migrations.AddField(
            model_name="customer",
            name="postcode",
            field=models.CharField(blank=True, db_default="", max_length=20, verbose_name="postcode"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="month",
            field=models.DateField(blank=True, null=True, verbose_name="month of use"),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="kind",
            field=models.CharField(
                choices=[("invoice", "invoice"), ("credit_note", "credit note"), ("receipt", "receipt")],
                max_length=11,
                verbose_name="kind",
            ),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="payment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="invoices",
                to="billing.payment",
                verbose_name="payment",
            ),
        ),
        migrations.AlterField(
            model_name="invoiceseries",
            name="kind",
            field=models.CharField(
                choices=[("invoice", "invoice"), ("credit_note", "credit note"), ("receipt", "receipt")],
                max_length=11,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", ("invoice", "receipt"))),
                fields=("payment",),
                name="invoice_once_per_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("month__isnull", False)),
                fields=("user", "month", "currency"),
                name="invoice_once_a_month_of_use",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("month__isnull", True), ("payment__isnull", False)),
                    models.Q(("kind", "invoice"), ("month__isnull", False), ("payment__isnull", True)),
                    _connector="OR",
                ),
                name="invoice_is_of_a_payment_or_a_month",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["invoice", "credit_note", "receipt"])), name="invoice_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("corrects__isnull", True), ("kind__in", ("invoice", "receipt")), ("refund__isnull", True)
                    ),
                    models.Q(("corrects__isnull", False), ("kind", "credit_note"), ("refund__isnull", False)),
                    _connector="OR",
                ),
                name="invoice_credit_note_corrects_an_invoice",
            ),
        ),
        migrations.AddField(
            model_name="invoicemailing",
            name="invoice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="mailings",
                to="billing.invoice",
                verbose_name="invoice",
            ),
        ),
        migrations.AddField(
            model_name="invoicemailing",
            name="requested_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="asked by",
            ),
        ),
        migrations.AddField(
            model_name="taxeduse",
            name="invoice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="taxed_uses",
                to="billing.invoice",
                verbose_name="invoice",
            ),
        ),
        migrations.AddField(
            model_name="taxeduse",
            name="payment",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="taxed_uses",
                to="billing.payment",
                verbose_name="payment",
            ),
        ),
        migrations.AddField(
            model_name="vatcheck",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="vat_checks",
                to=settings.AUTH_USER_MODEL,
                verbose_name="customer",
            ),
        ),
        migrations.AddIndex(
            model_name="invoicemailing",
            index=models.Index(
                condition=models.Q(("next_try_at__isnull", False)),
                fields=["next_try_at"],
                name="invoice_mailing_to_send",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicemailing",
            constraint=models.CheckConstraint(
                condition=models.Q(("sent_at__isnull", True), ("next_try_at__isnull", True), _connector="OR"),
                name="invoice_mailing_sent_is_not_tried_again",
            ),
        ),
        migrations.AddConstraint(
            model_name="taxeduse",
            constraint=models.UniqueConstraint(fields=("payment", "month"), name="taxed_use_once_a_month"),
        ),
        migrations.AddConstraint(
            model_name="taxeduse",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("gross_minor__gt", 0), ("tax_minor__gte", 0), ("tax_minor__lte", models.F("gross_minor"))
                ),
                name="taxed_use_tax_is_part_of_it",
            ),
        ),
        migrations.AddIndex(
            model_name="vatcheck",
            index=models.Index(fields=["vat_number", "-asked_at"], name="vat_check_by_number"),
        ),
        migrations.AddConstraint(
            model_name="vatcheck",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["valid", "invalid", "unreachable"])), name="vat_check_outcome_known"
            ),
        ),
    ]
