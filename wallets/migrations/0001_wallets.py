# squawk-ignore: adding-foreign-key-constraint - the tables are made by this migration and empty
# squawk-ignore: adding-required-field - the tables are made by this migration and empty

import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import ledger.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("ledger", "0002_guards"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="CommissionRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="code",
                    ),
                ),
                (
                    "catalogue",
                    models.CharField(blank=True, db_default="", default="", max_length=60, verbose_name="catalogue"),
                ),
                (
                    "currency",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator("^[A-Z]{3}$", "This is no currency of ISO 4217.")
                        ],
                        verbose_name="currency",
                    ),
                ),
                ("valid_from", models.DateTimeField(default=django.utils.timezone.now, verbose_name="valid from")),
                ("valid_until", models.DateTimeField(blank=True, null=True, verbose_name="valid until")),
                (
                    "basis_points",
                    models.IntegerField(help_text="1000 is ten percent.", verbose_name="percent in basis points"),
                ),
                (
                    "fixed_minor",
                    models.BigIntegerField(
                        db_default=0,
                        default=0,
                        help_text="Added to the percentage.",
                        verbose_name="fixed part in minor units",
                    ),
                ),
                ("minimum_minor", models.BigIntegerField(blank=True, null=True, verbose_name="minimum in minor units")),
                ("maximum_minor", models.BigIntegerField(blank=True, null=True, verbose_name="maximum in minor units")),
                (
                    "clearing_days",
                    models.IntegerField(
                        blank=True,
                        help_text="Empty: the setting WALLETS_CLEARING_DAYS.",
                        null=True,
                        verbose_name="clearing days",
                    ),
                ),
                (
                    "when_withdrawn",
                    models.CharField(
                        choices=[
                            ("refuse", "refuse the refund"),
                            ("our_cost", "we bear it"),
                            ("debt", "the seller owes it, up to a limit"),
                        ],
                        default="refuse",
                        max_length=8,
                        verbose_name="refund after a withdrawal",
                    ),
                ),
                (
                    "debt_limit_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="debt limit in minor units"),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
            ],
            options={
                "verbose_name": "commission rule",
                "verbose_name_plural": "commission rules",
                "default_permissions": ("add", "change", "view"),
            },
        ),
        migrations.CreateModel(
            name="SaleType",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="code",
                    ),
                ),
                (
                    "catalogue",
                    models.CharField(blank=True, db_default="", default="", max_length=60, verbose_name="catalogue"),
                ),
                ("label_en", models.CharField(max_length=100, verbose_name="label in English")),
                (
                    "label_fr",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=100, verbose_name="label in French"
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
                ("minimum", models.JSONField(blank=True, db_default={}, default=dict, verbose_name="minimum price")),
            ],
            options={
                "verbose_name": "type of sale",
                "verbose_name_plural": "types of sales",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SellerKind",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "code",
                    models.CharField(
                        max_length=60,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="code",
                    ),
                ),
                (
                    "catalogue",
                    models.CharField(blank=True, db_default="", default="", max_length=60, verbose_name="catalogue"),
                ),
                ("label_en", models.CharField(max_length=100, verbose_name="label in English")),
                (
                    "label_fr",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=100, verbose_name="label in French"
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
            ],
            options={
                "verbose_name": "kind of seller",
                "verbose_name_plural": "kinds of sellers",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Sale",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("payment_key", models.CharField(db_collation="C", max_length=200, verbose_name="payment")),
                ("number", models.SmallIntegerField(verbose_name="number")),
                (
                    "reference",
                    models.CharField(blank=True, db_default="", default="", max_length=200, verbose_name="reference"),
                ),
                (
                    "description",
                    models.CharField(blank=True, db_default="", default="", max_length=300, verbose_name="description"),
                ),
                ("gateway", models.CharField(max_length=30, verbose_name="gateway")),
                ("price_minor", models.BigIntegerField(verbose_name="price in minor units")),
                ("commission_minor", models.BigIntegerField(verbose_name="commission in minor units")),
                ("net_minor", models.BigIntegerField(verbose_name="net in minor units")),
                ("terms", models.JSONField(default=dict, verbose_name="terms")),
                ("choice", models.JSONField(default=dict, verbose_name="choice of the rule")),
                (
                    "when_withdrawn",
                    models.CharField(
                        choices=[
                            ("refuse", "refuse the refund"),
                            ("our_cost", "we bear it"),
                            ("debt", "the seller owes it, up to a limit"),
                        ],
                        max_length=8,
                        verbose_name="refund after a withdrawal",
                    ),
                ),
                (
                    "debt_limit_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="debt limit in minor units"),
                ),
                ("releases_at", models.DateTimeField(verbose_name="clears at")),
                ("released_at", models.DateTimeField(blank=True, null=True, verbose_name="cleared at")),
                ("reserved_minor", models.BigIntegerField(db_default=0, default=0, verbose_name="in reserve")),
                ("reserved_until", models.DateTimeField(blank=True, null=True, verbose_name="in reserve until")),
                (
                    "taken_price_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="taken back of the price"),
                ),
                (
                    "taken_commission_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="taken back of the commission"),
                ),
                (
                    "taken_net_minor",
                    models.BigIntegerField(db_default=0, default=0, verbose_name="taken back of the net"),
                ),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.entry",
                        verbose_name="entry",
                    ),
                ),
                (
                    "release_entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.entry",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sales",
                        to="wallets.commissionrule",
                        verbose_name="commission rule",
                    ),
                ),
                (
                    "type",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sales",
                        to="wallets.saletype",
                        verbose_name="type of sale",
                    ),
                ),
            ],
            options={
                "verbose_name": "sale",
                "verbose_name_plural": "sales",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="commissionrule",
            name="sale_type",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="wallets.saletype",
                verbose_name="type of sale",
            ),
        ),
        migrations.CreateModel(
            name="Seller",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "reserve_basis_points",
                    models.IntegerField(db_default=0, default=0, verbose_name="rolling reserve in basis points"),
                ),
                ("reserve_days", models.IntegerField(db_default=0, default=0, verbose_name="days in reserve")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="seller",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "kind",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="sellers",
                        to="wallets.sellerkind",
                        verbose_name="kind of seller",
                    ),
                ),
            ],
            options={
                "verbose_name": "seller",
                "verbose_name_plural": "sellers",
                "default_permissions": ("change", "view"),
            },
        ),
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("paypal", "PayPal"), ("mobile_money", "mobile money"), ("stripe", "Stripe account")],
                        max_length=12,
                        verbose_name="kind",
                    ),
                ),
                ("value", models.CharField(max_length=254, verbose_name="address, number or account")),
                (
                    "operator",
                    models.CharField(blank=True, db_default="", default="", max_length=20, verbose_name="operator"),
                ),
                ("usable_from", models.DateTimeField(verbose_name="usable from")),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="destinations",
                        to="wallets.seller",
                        verbose_name="seller",
                    ),
                ),
            ],
            options={
                "verbose_name": "destination",
                "verbose_name_plural": "destinations",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="commissionrule",
            name="seller",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="wallets.seller",
                verbose_name="seller",
            ),
        ),
        migrations.AddField(
            model_name="commissionrule",
            name="seller_kind",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rules",
                to="wallets.sellerkind",
                verbose_name="kind of seller",
            ),
        ),
        migrations.CreateModel(
            name="TakeBack",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(editable=False, max_length=200, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[("refund", "refund"), ("dispute", "dispute")], max_length=7, verbose_name="kind"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("held", "held"), ("settled", "settled"), ("voided", "given back")],
                        default="held",
                        max_length=7,
                        verbose_name="state",
                    ),
                ),
                (
                    "reason",
                    models.CharField(blank=True, db_default="", default="", max_length=300, verbose_name="reason"),
                ),
                ("price_minor", models.BigIntegerField(verbose_name="price in minor units")),
                ("commission_minor", models.BigIntegerField(verbose_name="commission in minor units")),
                ("net_minor", models.BigIntegerField(verbose_name="net in minor units")),
                ("pending_minor", models.BigIntegerField(default=0, verbose_name="from what had not cleared")),
                ("reserve_minor", models.BigIntegerField(default=0, verbose_name="from the reserve")),
                ("available_minor", models.BigIntegerField(default=0, verbose_name="from the available")),
                ("debt_minor", models.BigIntegerField(default=0, verbose_name="owed by the seller")),
                ("cost_minor", models.BigIntegerField(default=0, verbose_name="borne by us")),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved at")),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.entry",
                    ),
                ),
                (
                    "sale",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="take_backs",
                        to="wallets.sale",
                        verbose_name="sale",
                    ),
                ),
            ],
            options={
                "verbose_name": "taking back",
                "verbose_name_plural": "takings back",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Wallet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "available",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="available",
                    ),
                ),
                (
                    "debt",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="debt",
                    ),
                ),
                (
                    "pending",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="pending",
                    ),
                ),
                (
                    "reserve",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.account",
                        verbose_name="reserve",
                    ),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="wallets",
                        to="wallets.seller",
                        verbose_name="seller",
                    ),
                ),
            ],
            options={
                "verbose_name": "wallet",
                "verbose_name_plural": "wallets",
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="sale",
            name="wallet",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="sales",
                to="wallets.wallet",
                verbose_name="wallet",
            ),
        ),
        migrations.CreateModel(
            name="Adjustment",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(editable=False, max_length=255, unique=True)),
                ("amount_minor", models.BigIntegerField(verbose_name="amount in minor units")),
                ("reason", models.CharField(max_length=300, verbose_name="reason")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "waits for a second person"),
                            ("booked", "booked"),
                            ("rejected", "rejected"),
                        ],
                        default="requested",
                        max_length=9,
                        verbose_name="status",
                    ),
                ),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="decided by",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.entry",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="requested by",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="adjustments",
                        to="wallets.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "adjustment",
                "verbose_name_plural": "adjustments",
                "permissions": [("adjust_wallet", "Can adjust wallets by hand")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Withdrawal",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(editable=False, max_length=255, unique=True)),
                ("amount_minor", models.BigIntegerField(verbose_name="amount in minor units")),
                ("fee_minor", models.BigIntegerField(default=0, verbose_name="fee in minor units")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "waits for approval"),
                            ("approved", "approved"),
                            ("sending", "being sent"),
                            ("uncertain", "uncertain"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                        ],
                        default="requested",
                        max_length=9,
                        verbose_name="status",
                    ),
                ),
                ("not_before", models.DateTimeField(verbose_name="not before")),
                ("needs_two", models.BooleanField(default=False, verbose_name="needs two people")),
                ("is_automatic", models.BooleanField(default=False, verbose_name="approved automatically")),
                (
                    "reason",
                    models.CharField(blank=True, db_default="", default="", max_length=300, verbose_name="reason"),
                ),
                (
                    "gateway",
                    models.CharField(blank=True, db_default="", default="", max_length=30, verbose_name="gateway"),
                ),
                (
                    "gateway_reference",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=200, verbose_name="reference at the gateway"
                    ),
                ),
                ("resolved_at", models.DateTimeField(blank=True, null=True, verbose_name="resolved at")),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "approved_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="approved by",
                    ),
                ),
                (
                    "destination",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="withdrawals",
                        to="wallets.destination",
                        verbose_name="destination",
                    ),
                ),
                (
                    "entry",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="ledger.entry",
                    ),
                ),
                (
                    "first_approved_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="first approved by",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="withdrawals",
                        to="wallets.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "withdrawal",
                "verbose_name_plural": "withdrawals",
                "permissions": [
                    ("request_withdrawal", "Can request withdrawals for sellers"),
                    ("approve_withdrawal", "Can approve and reject withdrawals"),
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="WithdrawalStep",
            fields=[
                ("id", models.UUIDField(default=ledger.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("requested", "waits for approval"),
                            ("approved", "approved"),
                            ("sending", "being sent"),
                            ("uncertain", "uncertain"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                        ],
                        max_length=9,
                        verbose_name="status",
                    ),
                ),
                ("note", models.CharField(blank=True, db_default="", default="", max_length=300, verbose_name="note")),
                (
                    "created_at",
                    models.GeneratedField(
                        db_persist=True,
                        expression=models.Func(models.F("id"), function="uuid_extract_timestamp"),
                        output_field=models.DateTimeField(),
                        verbose_name="created at",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="by",
                    ),
                ),
                (
                    "withdrawal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="steps",
                        to="wallets.withdrawal",
                        verbose_name="withdrawal",
                    ),
                ),
            ],
            options={
                "verbose_name": "step of a withdrawal",
                "verbose_name_plural": "steps of withdrawals",
                "ordering": ["id"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="CommissionTier",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("from_volume_minor", models.BigIntegerField(verbose_name="from a monthly volume in minor units")),
                ("basis_points", models.IntegerField(verbose_name="percent in basis points")),
                (
                    "rule",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tiers",
                        to="wallets.commissionrule",
                    ),
                ),
            ],
            options={
                "verbose_name": "tier",
                "verbose_name_plural": "tiers",
                "ordering": ["from_volume_minor"],
                "default_permissions": ("add", "change", "delete", "view"),
                "constraints": [
                    models.UniqueConstraint(fields=("rule", "from_volume_minor"), name="tier_once_per_rule_and_volume"),
                    models.CheckConstraint(
                        condition=models.Q(("from_volume_minor__gt", 0), ("from_volume_minor__lte", 1000000000000000)),
                        name="tier_volume_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("basis_points__gte", 0), ("basis_points__lte", 10000)),
                        name="tier_is_no_more_than_the_price",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.UniqueConstraint(
                fields=("seller", "kind", "value", "operator"), name="destination_once_per_seller"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["paypal", "mobile_money", "stripe"])), name="destination_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "mobile_money"), models.Q(("operator", ""), _negated=True)),
                    models.Q(models.Q(("kind", "mobile_money"), _negated=True), ("operator", "")),
                    _connector="OR",
                ),
                name="destination_number_has_an_operator",
            ),
        ),
        migrations.AddConstraint(
            model_name="seller",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("reserve_basis_points", 0), ("reserve_days", 0)),
                    models.Q(
                        ("reserve_basis_points__gt", 0),
                        ("reserve_basis_points__lte", 10000),
                        ("reserve_days__gt", 0),
                        ("reserve_days__lte", 365),
                    ),
                    _connector="OR",
                ),
                name="seller_reserve_is_a_part_for_some_days",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("basis_points__gte", 0), ("basis_points__lte", 10000)),
                name="commission_is_no_more_than_the_price",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("fixed_minor__gte", 0),
                    ("fixed_minor__lte", 1000000000000000),
                    models.Q(
                        ("minimum_minor__isnull", True),
                        models.Q(("minimum_minor__gte", 0), ("minimum_minor__lte", 1000000000000000)),
                        _connector="OR",
                    ),
                    models.Q(
                        ("maximum_minor__isnull", True),
                        models.Q(("maximum_minor__gte", 0), ("maximum_minor__lte", 1000000000000000)),
                        _connector="OR",
                    ),
                ),
                name="commission_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("minimum_minor__isnull", True),
                    ("maximum_minor__isnull", True),
                    ("minimum_minor__lte", models.F("maximum_minor")),
                    _connector="OR",
                ),
                name="commission_minimum_below_maximum",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("currency", ""), _negated=True),
                    models.Q(
                        ("debt_limit_minor", 0),
                        ("fixed_minor", 0),
                        ("maximum_minor__isnull", True),
                        ("minimum_minor__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="commission_amounts_have_a_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_until__isnull", True), ("valid_until__gt", models.F("valid_from")), _connector="OR"
                ),
                name="commission_rule_begins_before_it_ends",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("clearing_days__isnull", True),
                    models.Q(("clearing_days__gte", 0), ("clearing_days__lte", 365)),
                    _connector="OR",
                ),
                name="commission_clearing_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(("when_withdrawn__in", ["refuse", "our_cost", "debt"])),
                name="commission_policy_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="commissionrule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("debt_limit_minor__gt", 0), ("when_withdrawn", "debt")),
                    models.Q(models.Q(("when_withdrawn", "debt"), _negated=True), ("debt_limit_minor", 0)),
                    _connector="OR",
                ),
                name="commission_debt_has_a_limit",
            ),
        ),
        migrations.AddConstraint(
            model_name="takeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "price_minor",
                        django.db.models.expressions.CombinedExpression(
                            models.F("commission_minor"), "+", models.F("net_minor")
                        ),
                    ),
                    ("price_minor__gt", 0),
                    ("commission_minor__gte", 0),
                    ("net_minor__gte", 0),
                ),
                name="take_back_is_split_to_the_last_unit",
            ),
        ),
        migrations.AddConstraint(
            model_name="takeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("available_minor__gte", 0),
                    ("cost_minor__gte", 0),
                    ("debt_minor__gte", 0),
                    (
                        "net_minor",
                        django.db.models.expressions.CombinedExpression(
                            django.db.models.expressions.CombinedExpression(
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("pending_minor"), "+", models.F("reserve_minor")
                                    ),
                                    "+",
                                    models.F("available_minor"),
                                ),
                                "+",
                                models.F("debt_minor"),
                            ),
                            "+",
                            models.F("cost_minor"),
                        ),
                    ),
                    ("pending_minor__gte", 0),
                    ("reserve_minor__gte", 0),
                ),
                name="take_back_has_its_net_from_somewhere",
            ),
        ),
        migrations.AddConstraint(
            model_name="takeback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("resolved_at__isnull", True), ("state", "held")),
                    models.Q(("resolved_at__isnull", False), ("state__in", ["settled", "voided"])),
                    _connector="OR",
                ),
                name="take_back_is_resolved_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="takeback",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["refund", "dispute"])), name="take_back_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.UniqueConstraint(
                fields=("seller", "currency"), name="wallet_once_per_seller_and_currency"
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__regex", "^[A-Z]{3}$")), name="wallet_currency_is_well_formed"
            ),
        ),
        migrations.AddIndex(
            model_name="sale",
            index=models.Index(fields=["wallet", "id"], name="sale_by_wallet"),
        ),
        migrations.AddIndex(
            model_name="sale",
            index=models.Index(
                condition=models.Q(("released_at__isnull", True)), fields=["releases_at"], name="sale_to_release"
            ),
        ),
        migrations.AddIndex(
            model_name="sale",
            index=models.Index(
                condition=models.Q(("reserved_minor__gt", 0)), fields=["reserved_until"], name="sale_to_free"
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.UniqueConstraint(fields=("payment_key", "number"), name="sale_once_per_payment_and_line"),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "price_minor",
                        django.db.models.expressions.CombinedExpression(
                            models.F("commission_minor"), "+", models.F("net_minor")
                        ),
                    )
                ),
                name="sale_is_split_to_the_last_unit",
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("commission_minor__gte", 0),
                    ("net_minor__gte", 0),
                    ("price_minor__gt", 0),
                    ("price_minor__lte", 1000000000000000),
                ),
                name="sale_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("taken_commission_minor__gte", 0),
                    ("taken_commission_minor__lte", models.F("commission_minor")),
                    ("taken_net_minor__gte", 0),
                    ("taken_net_minor__lte", models.F("net_minor")),
                    (
                        "taken_price_minor",
                        django.db.models.expressions.CombinedExpression(
                            models.F("taken_commission_minor"), "+", models.F("taken_net_minor")
                        ),
                    ),
                ),
                name="sale_gives_back_what_it_brought",
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("reserved_minor", 0),
                    models.Q(
                        ("released_at__isnull", False),
                        ("reserved_minor__gt", 0),
                        ("reserved_minor__lte", models.F("net_minor")),
                        ("reserved_until__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="sale_reserve_is_a_part_of_what_cleared",
            ),
        ),
        migrations.AddConstraint(
            model_name="sale",
            constraint=models.CheckConstraint(
                condition=models.Q(("when_withdrawn__in", ["refuse", "our_cost", "debt"])), name="sale_policy_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_minor__gte", -1000000000000000),
                    ("amount_minor__lte", 1000000000000000),
                    models.Q(("amount_minor", 0), _negated=True),
                ),
                name="adjustment_moves_something",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("entry__isnull", False), ("status", "booked")),
                    models.Q(models.Q(("status", "booked"), _negated=True), ("entry__isnull", True)),
                    _connector="OR",
                ),
                name="adjustment_is_booked_with_an_entry",
            ),
        ),
        migrations.AddConstraint(
            model_name="adjustment",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["requested", "booked", "rejected"])), name="adjustment_status_known"
            ),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(fields=["wallet", "id"], name="withdrawal_by_wallet"),
        ),
        migrations.AddIndex(
            model_name="withdrawal",
            index=models.Index(
                condition=models.Q(("status__in", ("requested", "approved", "sending", "uncertain"))),
                fields=["status", "id"],
                name="open_withdrawal",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_minor__gt", models.F("fee_minor")),
                    ("amount_minor__lte", 1000000000000000),
                    ("fee_minor__gte", 0),
                ),
                name="withdrawal_pays_more_than_its_fee",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "status__in",
                        ["requested", "approved", "sending", "uncertain", "paid", "failed", "rejected", "cancelled"],
                    )
                ),
                name="withdrawal_status_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("entry__isnull", False), ("status", "paid")),
                    models.Q(models.Q(("status", "paid"), _negated=True), ("entry__isnull", True)),
                    _connector="OR",
                ),
                name="withdrawal_is_paid_with_an_entry",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("resolved_at__isnull", True), ("status__in", ("requested", "approved", "sending", "uncertain"))
                    ),
                    models.Q(
                        models.Q(("status__in", ("requested", "approved", "sending", "uncertain")), _negated=True),
                        ("resolved_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="withdrawal_is_over_when_resolved",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("first_approved_by__isnull", True),
                    ("approved_by__isnull", True),
                    models.Q(("first_approved_by", models.F("approved_by")), _negated=True),
                    _connector="OR",
                ),
                name="withdrawal_needs_different_people",
            ),
        ),
        migrations.AddConstraint(
            model_name="withdrawal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("needs_two", False),
                    models.Q(("status__in", ["approved", "sending", "uncertain", "paid"]), _negated=True),
                    models.Q(("approved_by__isnull", False), ("first_approved_by__isnull", False)),
                    _connector="OR",
                ),
                name="large_withdrawal_is_approved_by_two",
            ),
        ),
    ]
