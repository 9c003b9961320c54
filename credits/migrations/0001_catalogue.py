import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Each fires for every role, the owner too: a correction is a new version.
REFUSE_CHANGES = """
CREATE FUNCTION credits_refuse_version_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.valid_from > clock_timestamp() THEN
        RETURN OLD;  -- a planned version may be called off
    END IF;
    RAISE EXCEPTION '% % is a version of the catalogue: add a new one instead', TG_TABLE_NAME, OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER pack_price_version_stays BEFORE UPDATE OR DELETE ON credits_packprice
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_version_change();
CREATE TRIGGER cost_version_stays BEFORE UPDATE OR DELETE ON credits_cost
    FOR EACH ROW EXECUTE FUNCTION credits_refuse_version_change();
"""
ALLOW_CHANGES = """
DROP TRIGGER cost_version_stays ON credits_cost;
DROP TRIGGER pack_price_version_stays ON credits_packprice;
DROP FUNCTION credits_refuse_version_change();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GrantRule",
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
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="catalogue",
                    ),
                ),
                (
                    "amount",
                    models.BigIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)], verbose_name="amount"
                    ),
                ),
                (
                    "unit",
                    models.CharField(
                        default="CREDIT",
                        max_length=12,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$",
                                "Capital letters, digits and underscores, for example CREDIT.",
                            )
                        ],
                        verbose_name="unit",
                    ),
                ),
                (
                    "every",
                    models.CharField(
                        choices=[("week", "week"), ("month", "month")], max_length=5, verbose_name="every"
                    ),
                ),
                (
                    "expires_after_days",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="expires after (days)"),
                ),
                ("expires_at_next", models.BooleanField(default=False, verbose_name="expires at the next grant")),
                (
                    "rollover_cap",
                    models.BigIntegerField(
                        blank=True,
                        help_text="A new grant only fills up to this balance of the rule's own grants. Empty: no cap.",
                        null=True,
                        verbose_name="roll-over cap",
                    ),
                ),
                (
                    "catch_up",
                    models.CharField(
                        choices=[
                            ("all", "grant every missed period"),
                            ("last", "grant the last missed period only"),
                            ("none", "grant nothing for missed periods"),
                        ],
                        default="all",
                        max_length=4,
                        verbose_name="missed periods",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
            ],
            options={
                "verbose_name": "grant rule",
                "verbose_name_plural": "grant rules",
                "ordering": ["catalogue", "code"],
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("code__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")),
                        name="grant_rule_code_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("catalogue__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")),
                        name="grant_rule_catalogue_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("unit__regex", "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$")),
                        name="grant_rule_unit_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0), ("amount__lte", 1000000000000000)),
                        name="grant_rule_gives_credits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("every__in", ["week", "month"])), name="grant_rule_period_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("catch_up__in", ["all", "last", "none"])), name="grant_rule_catch_up_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("expires_after_days__isnull", True),
                            models.Q(("expires_after_days__gt", 0), ("expires_at_next", False)),
                            _connector="OR",
                        ),
                        name="grant_rule_expires_in_one_way",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("rollover_cap__isnull", True), ("rollover_cap__gte", models.F("amount")), _connector="OR"
                        ),
                        name="grant_rule_cap_holds_one_grant",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Pack",
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
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="catalogue",
                    ),
                ),
                ("name_en", models.CharField(max_length=100, verbose_name="name (English)")),
                ("name_fr", models.CharField(blank=True, max_length=100, verbose_name="name (French)")),
                ("description_en", models.CharField(blank=True, max_length=300, verbose_name="description (English)")),
                ("description_fr", models.CharField(blank=True, max_length=300, verbose_name="description (French)")),
                (
                    "unit",
                    models.CharField(
                        default="CREDIT",
                        max_length=12,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$",
                                "Capital letters, digits and underscores, for example CREDIT.",
                            )
                        ],
                        verbose_name="unit",
                    ),
                ),
                (
                    "credits",
                    models.BigIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)], verbose_name="credits"
                    ),
                ),
                (
                    "bonus",
                    models.BigIntegerField(
                        default=0,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="bonus credits",
                    ),
                ),
                (
                    "expires_after_days",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="expires after (days)"),
                ),
                (
                    "bonus_expires_after_days",
                    models.PositiveIntegerField(blank=True, null=True, verbose_name="bonus expires after (days)"),
                ),
                ("position", models.PositiveIntegerField(default=0, verbose_name="position")),
                ("is_active", models.BooleanField(default=True, verbose_name="on sale")),
            ],
            options={
                "verbose_name": "pack",
                "verbose_name_plural": "packs",
                "ordering": ["catalogue", "position", "code"],
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("code__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")), name="pack_code_is_plain"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("catalogue__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")),
                        name="pack_catalogue_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("unit__regex", "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$")),
                        name="pack_unit_is_plain",
                    ),
                    models.CheckConstraint(condition=models.Q(("name_en", ""), _negated=True), name="pack_has_a_name"),
                    models.CheckConstraint(
                        condition=models.Q(("credits__gt", 0), ("credits__lte", 1000000000000000)),
                        name="pack_gives_credits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("bonus__gte", 0), ("bonus__lte", 1000000000000000)),
                        name="pack_bonus_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("expires_after_days__isnull", True), ("expires_after_days__gt", 0), _connector="OR"
                        ),
                        name="pack_expires_after_a_day_or_never",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("bonus_expires_after_days__isnull", True),
                            ("bonus_expires_after_days__gt", 0),
                            _connector="OR",
                        ),
                        name="pack_bonus_expires_after_a_day_or_never",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Cost",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="action",
                    ),
                ),
                (
                    "catalogue",
                    models.CharField(
                        db_index=True,
                        max_length=60,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9]+([._-][a-z0-9]+)*$",
                                "Lower-case letters and digits, joined by dots, dashes or underscores.",
                            )
                        ],
                        verbose_name="catalogue",
                    ),
                ),
                ("version", models.PositiveIntegerField(verbose_name="version")),
                ("valid_from", models.DateTimeField(verbose_name="valid from")),
                ("is_active", models.BooleanField(default=True, verbose_name="offered")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("fixed", "fixed"),
                            ("per_unit", "per unit"),
                            ("between", "between a minimum and a maximum"),
                        ],
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                ("amount", models.BigIntegerField(blank=True, null=True, verbose_name="amount")),
                ("minimum", models.BigIntegerField(blank=True, null=True, verbose_name="minimum")),
                ("maximum", models.BigIntegerField(blank=True, null=True, verbose_name="maximum")),
                (
                    "unit",
                    models.CharField(
                        default="CREDIT",
                        max_length=12,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$",
                                "Capital letters, digits and underscores, for example CREDIT.",
                            )
                        ],
                        verbose_name="unit",
                    ),
                ),
                (
                    "real_cost_micros",
                    models.BigIntegerField(blank=True, null=True, verbose_name="real cost (millionths)"),
                ),
                (
                    "real_cost_currency",
                    models.CharField(blank=True, max_length=3, verbose_name="currency of the real cost"),
                ),
                ("label_en", models.CharField(max_length=100, verbose_name="label (English)")),
                ("label_fr", models.CharField(blank=True, max_length=100, verbose_name="label (French)")),
                (
                    "url_pattern",
                    models.CharField(
                        blank=True,
                        help_text="The middleware charges this path; * is any one segment. Example: /api/ai/generate",
                        max_length=200,
                        verbose_name="URL pattern",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
            ],
            options={
                "verbose_name": "cost",
                "verbose_name_plural": "costs",
                "ordering": ["action", "-version"],
                "default_permissions": ("add", "view"),
                "constraints": [
                    models.UniqueConstraint(fields=("action", "version"), name="cost_version_once"),
                    models.UniqueConstraint(fields=("action", "valid_from"), name="cost_once_per_instant"),
                    models.CheckConstraint(
                        condition=models.Q(("version__gte", 1)), name="cost_versions_count_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("action__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")),
                        name="cost_action_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("catalogue__regex", "^[a-z0-9]+([._-][a-z0-9]+)*$")),
                        name="cost_catalogue_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("unit__regex", "^(?![A-Z]{3}$)[A-Z][A-Z0-9_]{2,11}$")),
                        name="cost_unit_is_plain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("label_en", ""), _negated=True), name="cost_has_a_label"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["fixed", "per_unit", "between"])), name="cost_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                models.Q(("kind", "between"), _negated=True),
                                ("amount__gt", 0),
                                ("amount__isnull", False),
                                ("amount__lte", 1000000000000000),
                                ("maximum__isnull", True),
                                ("minimum__isnull", True),
                            ),
                            models.Q(
                                ("amount__isnull", True),
                                ("kind", "between"),
                                ("maximum__isnull", False),
                                ("minimum__isnull", False),
                                ("maximum__gte", models.F("minimum")),
                                ("maximum__lte", 1000000000000000),
                                ("minimum__gt", 0),
                            ),
                            _connector="OR",
                        ),
                        name="cost_says_an_amount_or_a_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("real_cost_currency", ""), ("real_cost_micros__isnull", True)),
                            models.Q(
                                ("real_cost_currency__regex", "^[A-Z]{3}$"),
                                ("real_cost_micros__gte", 0),
                                ("real_cost_micros__isnull", False),
                                ("real_cost_micros__lte", 1000000000000000),
                            ),
                            _connector="OR",
                        ),
                        name="cost_real_cost_has_a_currency",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("url_pattern", ""), ("url_pattern__startswith", "/"), _connector="OR"),
                        name="cost_url_pattern_is_a_path",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PackPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                ("amount_minor", models.BigIntegerField(verbose_name="amount in minor units")),
                ("valid_from", models.DateTimeField(verbose_name="valid from")),
                ("is_active", models.BooleanField(default=True, verbose_name="sold at this price")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="made at")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
                (
                    "pack",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prices",
                        to="credits.pack",
                        verbose_name="pack",
                    ),
                ),
            ],
            options={
                "verbose_name": "pack price",
                "verbose_name_plural": "pack prices",
                "ordering": ["pack", "currency", "-valid_from"],
                "default_permissions": ("add", "view"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("pack", "currency", "valid_from"), name="pack_price_once_per_instant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("currency__regex", "^[A-Z]{3}$")), name="pack_price_currency_is_iso"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount_minor__gt", 0), ("amount_minor__lte", 1000000000000000)),
                        name="pack_price_positive",
                    ),
                ],
            },
        ),
        migrations.RunSQL(REFUSE_CHANGES, ALLOW_CHANGES),
    ]
