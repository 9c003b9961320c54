"""Settings that hardly change are checked by triggers: what those refuse, whom they spare, how they come and go."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Q
from django.test.utils import isolate_apps

from credits.models import Allowance, Purse
from credits.models.constraints import SettingCheck
from credits.tests.people import give, make_user
from rest import tokens

pytestmark = pytest.mark.django_db

WRONG: list[tuple[str, Any, str]] = [
    ("debt_policy", "some", "purse_debt_policy_known"),
    ("debt_policy", "limited", "purse_with_debt_has_an_account"),
    ("debt_limit", -1, "purse_debt_limit_in_range"),
    ("debt_limit", 10**15 + 1, "purse_debt_limit_in_range"),
    ("low_percent", -1, "purse_low_percent_in_range"),
    ("low_percent", 101, "purse_low_percent_in_range"),
    ("daily_limit", -1, "purse_limits_not_negative"),
    ("monthly_limit", -1, "purse_limits_not_negative"),
    ("fair_use_per_month", -1, "purse_limits_not_negative"),
]
RIGHT: list[tuple[str, Any]] = [
    ("debt_limit", 10**15),
    ("low_percent", None),
    ("low_percent", 0),
    ("low_percent", 100),
    ("daily_limit", 0),
    ("monthly_limit", None),
    ("fair_use_per_month", 0),
]


@pytest.fixture
def purse() -> Purse:
    return give(make_user(), 10).purse


def refused(sql: str, *values: Any) -> str:
    """The name of the constraint, which libpq tells apart from the words."""
    with pytest.raises(IntegrityError) as error, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
    told = error.value.__cause__.diag  # type: ignore[union-attr]
    assert f'violates check constraint "{told.constraint_name}"' in str(error.value)
    assert (told.sqlstate, told.table_name) == ("23514", sql.split()[1 if sql.startswith("UPDATE") else 2])
    return str(told.constraint_name)


@pytest.mark.parametrize(("column", "value", "name"), WRONG)
def test_raw_sql_cannot_set_it_wrong(purse: Purse, column: str, value: Any, name: str) -> None:
    assert refused(f"UPDATE credits_purse SET {column} = %s WHERE id = %s", value, purse.pk) == name  # noqa: S608 - our own list
    made = f"INSERT INTO credits_purse (user_id, unit, {column}) VALUES (%s, 'OTHER', %s)"  # noqa: S608
    assert refused(made, purse.user_id, value) == name


@pytest.mark.parametrize(("column", "value"), RIGHT)
def test_what_is_right_is_taken(purse: Purse, column: str, value: Any) -> None:
    Purse.objects.filter(pk=purse.pk).update(**{column: value})
    purse.refresh_from_db()
    assert getattr(purse, column) == value


@pytest.mark.parametrize("column", ["daily_limit", "monthly_limit"])
def test_an_allowance_cannot_be_negative(column: str) -> None:
    token, _ = tokens.issue(name="shop", permissions=[], expires_at=None, by=None)
    allowance = Allowance.objects.create(token=token, unit="CREDIT", **{column: 1})
    sql = f"UPDATE credits_allowance SET {column} = -1 WHERE id = %s"  # noqa: S608 - our own list
    assert refused(sql, allowance.pk) == "allowance_limits_not_negative"


@pytest.mark.parametrize(("column", "value", "name"), WRONG)
def test_a_form_is_told_before(purse: Purse, column: str, value: Any, name: str) -> None:
    setattr(purse, column, value)
    with pytest.raises(ValidationError) as error:
        purse.validate_constraints()
    assert name in str(error.value)


def test_a_spend_writes_none_of_the_columns_that_they_watch() -> None:
    """Its UPDATE of the purse would fire them otherwise, and cost what they were made to save."""
    written = {"version", "state", "day", "day_spent", "month", "month_spent", "month_metered"}  # sql/spend.sql
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, array_agg(a.attname::text) FROM pg_trigger t "
            "JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr) "
            "WHERE t.tgrelid = 'credits_purse'::regclass AND NOT t.tgisinternal GROUP BY 1"
        )
        watched = dict(cursor.fetchall())
        cursor.execute("SELECT conname FROM pg_constraint WHERE conrelid = 'credits_purse'::regclass AND contype = 'c'")
        checks = [name for (name,) in cursor.fetchall()]
    settings = [each.name for each in Purse._meta.constraints if isinstance(each, SettingCheck)]
    assert sorted(watched) == sorted(settings)
    assert written.isdisjoint(column for columns in watched.values() for column in columns)
    assert checks == ["purse_state_known"]


def test_it_is_not_added_over_rows_that_break_it(purse: Purse) -> None:
    [check] = [each for each in Purse._meta.constraints if each.name == "purse_limits_not_negative"]
    with transaction.atomic(), connection.schema_editor() as editor:
        editor.remove_constraint(Purse, check)
        Purse.objects.filter(pk=purse.pk).update(daily_limit=-5)
        with pytest.raises(IntegrityError, match=check.name), transaction.atomic():
            editor.add_constraint(Purse, check)
        Purse.objects.filter(pk=purse.pk).update(daily_limit=5)
        editor.add_constraint(Purse, check)
    assert refused("UPDATE credits_purse SET daily_limit = -5 WHERE id = %s", purse.pk) == check.name


@isolate_apps("credits")
def test_it_comes_with_a_new_table() -> None:
    class Toy(models.Model):  # noqa: DJ008 - nobody reads its name
        size = models.IntegerField()

        class Meta:
            constraints = [SettingCheck(name="toy_is_small", condition=Q(size__lt=10))]

    with connection.schema_editor() as editor:
        editor.create_model(Toy)
    assert refused("INSERT INTO credits_toy (size) VALUES (10)") == "toy_is_small"
    Toy(size=9).save()
    with connection.schema_editor() as editor:
        editor.remove_constraint(Toy, Toy._meta.constraints[0])
    Toy(size=10).save()


def test_a_migration_sees_that_it_is_no_plain_check() -> None:
    words: dict[str, Any] = {"name": "some", "condition": Q(size__lt=10)}
    plain, trigger = models.CheckConstraint(**words), SettingCheck(**words)
    assert trigger == SettingCheck(**words)
    assert (plain == trigger, trigger == plain) == (False, False)
