"""Checks of a purse's and an allowance's settings become triggers that only a write of those settings fires."""

from django.db import migrations
from django.db.models import Q

from credits.models.constraints import SettingCheck


class Migration(migrations.Migration):
    dependencies = [("credits", "0008_batches_in_sets")]

    # squawk-ignore: ban-drop-constraint - a trigger made in the same transaction refuses the same by the same name
    operations = [
        migrations.RemoveConstraint(model_name="allowance", name="allowance_limits_not_negative"),
        migrations.RemoveConstraint(model_name="purse", name="purse_debt_policy_known"),
        migrations.RemoveConstraint(model_name="purse", name="purse_with_debt_has_an_account"),
        migrations.RemoveConstraint(model_name="purse", name="purse_debt_limit_in_range"),
        migrations.RemoveConstraint(model_name="purse", name="purse_low_percent_in_range"),
        migrations.RemoveConstraint(model_name="purse", name="purse_limits_not_negative"),
        migrations.AddConstraint(
            model_name="allowance",
            constraint=SettingCheck(
                condition=Q(
                    Q(("daily_limit__isnull", True), ("daily_limit__gte", 0), _connector="OR"),
                    Q(("monthly_limit__isnull", True), ("monthly_limit__gte", 0), _connector="OR"),
                ),
                name="allowance_limits_not_negative",
            ),
        ),
        migrations.AddConstraint(
            model_name="purse",
            constraint=SettingCheck(
                condition=Q(("debt_policy__in", ["forbid", "limited", "invoice"])), name="purse_debt_policy_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="purse",
            constraint=SettingCheck(
                condition=Q(("debt_policy", "forbid"), ("debt_account__isnull", False), _connector="OR"),
                name="purse_with_debt_has_an_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="purse",
            constraint=SettingCheck(
                condition=Q(("debt_limit__gte", 0), ("debt_limit__lte", 1000000000000000)),
                name="purse_debt_limit_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="purse",
            constraint=SettingCheck(
                condition=Q(
                    ("low_percent__isnull", True),
                    Q(("low_percent__gte", 0), ("low_percent__lte", 100)),
                    _connector="OR",
                ),
                name="purse_low_percent_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="purse",
            constraint=SettingCheck(
                condition=Q(
                    Q(("daily_limit__isnull", True), ("daily_limit__gte", 0), _connector="OR"),
                    Q(("monthly_limit__isnull", True), ("monthly_limit__gte", 0), _connector="OR"),
                    Q(("fair_use_per_month__isnull", True), ("fair_use_per_month__gte", 0), _connector="OR"),
                ),
                name="purse_limits_not_negative",
            ),
        ),
    ]
