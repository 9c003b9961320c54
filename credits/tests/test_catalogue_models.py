"""The database itself keeps the catalogue honest, whoever writes to it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone, translation

from credits.models import Cost, PackPrice
from credits.tests.factories import make_cost, make_pack, make_rule

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("make", "changes", "constraint"),
    [
        (make_pack, {"code": "Image 100"}, "pack_code_is_plain"),
        (make_pack, {"catalogue": "-"}, "pack_catalogue_is_plain"),
        (make_pack, {"unit": "credit"}, "pack_unit_is_plain"),
        (make_pack, {"name_en": ""}, "pack_has_a_name"),
        (make_pack, {"credits": 0}, "pack_gives_credits"),
        (make_pack, {"credits": 10**15 + 1}, "pack_gives_credits"),
        (make_pack, {"bonus": -1}, "pack_bonus_not_negative"),
        (make_pack, {"expires_after_days": 0}, "pack_expires_after_a_day_or_never"),
        (make_pack, {"bonus_expires_after_days": 0}, "pack_bonus_expires_after_a_day_or_never"),
        (make_cost, {"action": "Generate!"}, "cost_action_is_plain"),
        (make_cost, {"catalogue": ""}, "cost_catalogue_is_plain"),
        (make_cost, {"unit": "credit"}, "cost_unit_is_plain"),
        (make_cost, {"unit": "EUR"}, "cost_unit_is_plain"),
        (make_cost, {"label_en": ""}, "cost_has_a_label"),
        (make_cost, {"version": 0}, "cost_versions_count_from_one"),
        (make_cost, {"kind": "free"}, "cost_kind_known"),
        (make_cost, {"amount": 0}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"amount": None}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"minimum": 1}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"kind": "between"}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"kind": "between", "amount": None, "minimum": 10}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"kind": "between", "amount": None, "minimum": 10, "maximum": 9}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"kind": "between", "amount": None, "minimum": 0, "maximum": 9}, "cost_says_an_amount_or_a_range"),
        (make_cost, {"real_cost_micros": 40_000}, "cost_real_cost_has_a_currency"),
        (make_cost, {"real_cost_currency": "EUR"}, "cost_real_cost_has_a_currency"),
        (make_cost, {"real_cost_micros": -1, "real_cost_currency": "EUR"}, "cost_real_cost_has_a_currency"),
        (make_cost, {"url_pattern": "api/ai"}, "cost_url_pattern_is_a_path"),
        (make_rule, {"code": "Weekly"}, "grant_rule_code_is_plain"),
        (make_rule, {"catalogue": ""}, "grant_rule_catalogue_is_plain"),
        (make_rule, {"unit": "€"}, "grant_rule_unit_is_plain"),
        (make_rule, {"amount": 0}, "grant_rule_gives_credits"),
        (make_rule, {"every": "day"}, "grant_rule_period_known"),
        (make_rule, {"catch_up": "some"}, "grant_rule_catch_up_known"),
        (make_rule, {"expires_after_days": 7, "expires_at_next": True}, "grant_rule_expires_in_one_way"),
        (make_rule, {"expires_after_days": 0}, "grant_rule_expires_in_one_way"),
        (make_rule, {"rollover_cap": 499}, "grant_rule_cap_holds_one_grant"),
    ],
)
def test_the_database_refuses(make: Any, changes: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**changes)
    make()  # and takes the same row without the mistake


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"currency": "eur"}, "pack_price_currency_is_iso"),
        ({"amount_minor": 0}, "pack_price_positive"),
        ({"amount_minor": -999}, "pack_price_positive"),
    ],
)
def test_the_database_refuses_prices(changes: dict[str, Any], constraint: str) -> None:
    known = {"pack": make_pack(), "currency": "EUR", "amount_minor": 999, "valid_from": timezone.now()}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        PackPrice.objects.create(**known | changes)
    PackPrice.objects.create(**known)


def test_two_versions_never_begin_at_the_same_instant() -> None:
    first = make_cost()
    with pytest.raises(IntegrityError, match="cost_once_per_instant"), transaction.atomic():
        make_cost(version=2, valid_from=first.valid_from)
    with pytest.raises(IntegrityError, match="cost_version_once"), transaction.atomic():
        make_cost(valid_from=timezone.now())


@pytest.mark.parametrize("statement", ["UPDATE credits_cost SET amount = 1", "DELETE FROM credits_cost"])
def test_a_cost_that_was_valid_is_never_changed_even_by_raw_sql(statement: str) -> None:
    make_cost()
    with pytest.raises(IntegrityError, match="add a new one instead"), transaction.atomic():
        connection.cursor().execute(statement)
    assert Cost.objects.get().amount == 5


@pytest.mark.parametrize(
    "statement", ["UPDATE credits_packprice SET amount_minor = 1", "DELETE FROM credits_packprice"]
)
def test_a_price_that_was_valid_is_never_changed_even_by_raw_sql(statement: str) -> None:
    PackPrice.objects.create(pack=make_pack(), currency="EUR", amount_minor=999, valid_from=timezone.now())
    with pytest.raises(IntegrityError, match="add a new one instead"), transaction.atomic():
        connection.cursor().execute(statement)
    assert PackPrice.objects.get().amount_minor == 999


def test_a_planned_version_may_be_called_off_but_not_changed() -> None:
    planned = make_cost(valid_from=timezone.now() + timedelta(days=1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Cost.objects.update(amount=6)
    planned.delete()
    assert not Cost.objects.exists()


def test_a_pack_with_a_price_cannot_be_deleted() -> None:
    sold = make_pack()
    PackPrice.objects.create(pack=sold, currency="EUR", amount_minor=999, valid_from=timezone.now())
    with pytest.raises(ProtectedError):
        sold.delete()
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic():
        connection.cursor().execute("DELETE FROM credits_pack; SET CONSTRAINTS ALL IMMEDIATE")


def test_the_version_valid_at_an_instant_is_the_last_one_begun() -> None:
    noon = timezone.now()
    for number, hours in enumerate((-2, 0, 2), start=1):
        make_cost(version=number, amount=number, valid_from=noon + timedelta(hours=hours))
    make_cost(action="image.generate", amount=9, valid_from=noon + timedelta(hours=1))
    found = [
        {each.action: each.amount for each in Cost.objects.valid_at(noon + timedelta(hours=hours))}
        for hours in (-3, -1, 0, 1, 2)
    ]
    assert found == [
        {},
        {"ai.generate": 1},
        {"ai.generate": 2},
        {"ai.generate": 2, "image.generate": 9},
        {"ai.generate": 3, "image.generate": 9},
    ]


def test_prices_are_versions_for_each_pack_and_currency() -> None:
    noon, sold = timezone.now(), make_pack()
    for currency, amount, hours in (("EUR", 999, -2), ("EUR", 899, -1), ("XOF", 6550, -2), ("EUR", 799, 1)):
        PackPrice.objects.create(
            pack=sold, currency=currency, amount_minor=amount, valid_from=noon + timedelta(hours=hours)
        )
    found = {price.currency: price.amount_minor for price in PackPrice.objects.valid_at(noon)}
    assert found == {"EUR": 899, "XOF": 6550}


def test_names_follow_the_language_and_fall_back_to_english() -> None:
    sold = make_pack(name_fr="Crédits x100")
    with translation.override("fr"):
        assert (sold.name, sold.description) == ("Crédits x100", "")
        assert make_pack(code="other").name == "Credits x100"
    with translation.override("en"):
        assert sold.name == "Credits x100"
