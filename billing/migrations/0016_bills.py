# squawk-ignore: require-concurrent-index-deletion - invoices came with the same release, so there are few
# squawk-ignore: require-concurrent-index-creation - invoices came with the same release, so there are few
# squawk-ignore: constraint-missing-not-valid - they widen what was allowed, and invoices are few
# squawk-ignore: ban-drop-constraint - each comes back wider in the same transaction
# squawk-ignore: adding-required-field - their tables are made by this migration
# squawk-ignore: adding-foreign-key-constraint - their tables are made by this migration
# squawk-ignore: disallowed-unique-constraint - its table is made by this migration

import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

import ledger.ids


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0015_incomplete_subscriptions_are_looked_at"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DraftLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.PositiveSmallIntegerField(verbose_name="position")),
                ("description", models.CharField(max_length=200, verbose_name="description")),
                ("quantity", models.PositiveIntegerField(default=1, verbose_name="quantity")),
                ("unit_price_minor", models.BigIntegerField(verbose_name="unit price in minor units")),
                (
                    "discount_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="discount in minor units"),
                ),
                ("product", models.CharField(default="standard", max_length=20, verbose_name="kind of product")),
            ],
            options={
                "verbose_name": "line of a draft",
                "verbose_name_plural": "lines of a draft",
                "ordering": ["draft", "position"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="InvoiceDraft",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("due_on", models.DateField(verbose_name="to be paid by")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "draft of an invoice",
                "verbose_name_plural": "drafts of invoices",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="UseGivenBack",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("gross_minor", models.BigIntegerField(verbose_name="amount in minor units")),
                ("tax_minor", models.BigIntegerField(verbose_name="tax in minor units")),
            ],
            options={
                "verbose_name": "taxed use given back",
                "verbose_name_plural": "taxed uses given back",
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
                    ("cancel_invoice", "Can cancel unpaid invoices"),
                    ("mail_invoice", "Can send invoices by mail"),
                    ("export_invoice", "Can download all invoices of a month"),
                ],
                "verbose_name": "invoice",
                "verbose_name_plural": "invoices",
            },
        ),
        migrations.RemoveConstraint(
            model_name="invoice",
            name="invoice_credit_note_corrects_an_invoice",
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_kind_known",
        ),
        migrations.AddField(
            model_name="invoice",
            name="due_on",
            field=models.DateField(blank=True, null=True, verbose_name="to be paid by"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="remark",
            field=models.CharField(blank=True, db_default="", default="", max_length=500, verbose_name="remark"),
        ),
        migrations.AlterField(
            model_name="invoice",
            name="refund",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="credit_notes",
                to="billing.refund",
                verbose_name="refund",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="kind",
            field=models.CharField(
                choices=[
                    ("pack", "pack"),
                    ("plan", "plan"),
                    ("sale", "sale of a seller"),
                    ("amount", "free amount"),
                    ("bill", "invoice to be paid"),
                ],
                max_length=6,
                verbose_name="what",
            ),
        ),
        migrations.AddIndex(
            model_name="invoice",
            index=models.Index(
                condition=models.Q(("due_on__isnull", False)), fields=["due_on"], name="invoice_by_due_date"
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("corrects__isnull", True), ("kind__in", ("invoice", "receipt")), ("refund__isnull", True)
                    ),
                    models.Q(("corrects__isnull", False), ("kind", "credit_note")),
                    _connector="OR",
                ),
                name="invoice_credit_note_corrects_an_invoice",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("refund__isnull", False)),
                fields=("refund", "corrects"),
                name="invoice_corrected_once_per_refund",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("corrects__isnull", False), ("refund__isnull", True)),
                fields=("corrects",),
                name="invoice_cancelled_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("due_on__isnull", True), models.Q(("kind", "invoice"), ("payment__isnull", False)), _connector="OR"
                ),
                name="invoice_due_is_of_a_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["pack", "plan", "sale", "amount", "bill"])), name="payment_kind_known"
            ),
        ),
        migrations.AddField(
            model_name="invoicedraft",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="written by",
            ),
        ),
        migrations.AddField(
            model_name="invoicedraft",
            name="invoice",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="draft",
                to="billing.invoice",
                verbose_name="invoice",
            ),
        ),
        migrations.AddField(
            model_name="invoicedraft",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="invoice_drafts",
                to=settings.AUTH_USER_MODEL,
                verbose_name="customer",
            ),
        ),
        migrations.AddField(
            model_name="draftline",
            name="draft",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="lines",
                to="billing.invoicedraft",
                verbose_name="draft of an invoice",
            ),
        ),
        migrations.AddField(
            model_name="usegivenback",
            name="refund",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="uses_given_back",
                to="billing.refund",
                verbose_name="refund",
            ),
        ),
        migrations.AddField(
            model_name="usegivenback",
            name="use",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="given_back",
                to="billing.taxeduse",
                verbose_name="taxed use",
            ),
        ),
        migrations.AddConstraint(
            model_name="invoicedraft",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__regex", "^[A-Z]{3}$")), name="invoice_draft_currency_is_iso"
            ),
        ),
        migrations.AddConstraint(
            model_name="draftline",
            constraint=models.UniqueConstraint(fields=("draft", "position"), name="draft_line_position_once"),
        ),
        migrations.AddConstraint(
            model_name="draftline",
            constraint=models.CheckConstraint(
                condition=models.Q(("quantity__gt", 0)), name="draft_line_is_of_something"
            ),
        ),
        migrations.AddConstraint(
            model_name="draftline",
            constraint=models.CheckConstraint(
                condition=models.Q(("unit_price_minor__gte", 0), ("unit_price_minor__lte", 1000000000000000)),
                name="draft_line_price_in_bounds",
            ),
        ),
        migrations.AddConstraint(
            model_name="draftline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("discount_minor__gte", 0),
                    (
                        "discount_minor__lte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("quantity"), "*", models.F("unit_price_minor")
                        ),
                    ),
                ),
                name="draft_line_discount_is_part_of_it",
            ),
        ),
        migrations.AddConstraint(
            model_name="usegivenback",
            constraint=models.UniqueConstraint(fields=("refund", "use"), name="use_given_back_once_per_refund"),
        ),
        migrations.AddConstraint(
            model_name="usegivenback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("gross_minor__gt", 0), ("tax_minor__gte", 0), ("tax_minor__lte", models.F("gross_minor"))
                ),
                name="use_given_back_tax_is_part_of_it",
            ),
        ),
    ]
