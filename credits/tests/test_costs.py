from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credits import costs, errors, versions
from credits.models import Cost, CostKind
from credits.tests.factories import make_between, make_cost
from ledger.money import Money
from ledger.tests.races import meeting_of

pytestmark = pytest.mark.django_db


# ---------------------------------------------------------------- prices


def test_fixed_cost_is_taken_once_or_as_often_as_said() -> None:
    cost = make_cost(amount=5)
    assert costs.price(cost) == Money(5, "CREDIT")
    assert costs.price(cost, quantity=3) == Money(15, "CREDIT")


def test_cost_per_unit_needs_the_quantity() -> None:
    cost = make_cost(kind=CostKind.PER_UNIT, amount=2, unit="SPARK")
    assert costs.price(cost, quantity=7) == Money(14, "SPARK")
    with pytest.raises(errors.QuantityRequired):
        costs.price(cost)


@pytest.mark.parametrize("amount", [10, 37, 50])
def test_range_takes_the_amount_said(amount: int) -> None:
    assert costs.price(make_between(10, 50), amount=amount) == Money(amount, "CREDIT")


@pytest.mark.parametrize("amount", [9, 51, 0, -10])
def test_amount_outside_the_range_is_refused_with_the_range(amount: int) -> None:
    with pytest.raises(errors.AmountOutOfRange) as refusal:
        costs.price(make_between(10, 50), amount=amount)
    assert (refusal.value.minimum, refusal.value.maximum) == (10, 50)


def test_range_needs_an_amount_and_takes_no_quantity() -> None:
    cost = make_between(10, 50)
    with pytest.raises(errors.AmountRequired):
        costs.price(cost)
    with pytest.raises(errors.QuantityNotAllowed):
        costs.price(cost, amount=10, quantity=2)


@pytest.mark.parametrize("kind", [CostKind.FIXED, CostKind.PER_UNIT])
def test_an_amount_of_ones_own_is_refused_where_the_table_decides(kind: CostKind) -> None:
    cost = make_cost(kind=kind)
    for quantity in (None, 1):
        with pytest.raises(errors.AmountNotAllowed):
            costs.price(cost, quantity=quantity, amount=1)


@pytest.mark.parametrize("quantity", [0, -1, 10**15 // 5 + 1])
def test_quantity_is_positive_and_its_total_fits_an_account(quantity: int) -> None:
    cost = make_cost(amount=5)
    with pytest.raises(errors.QuantityOutOfRange) as refusal:
        costs.price(cost, quantity=quantity)
    assert refusal.value.maximum == 10**15 // 5
    assert costs.price(cost, quantity=refusal.value.maximum) == Money(10**15, "CREDIT")


def test_ceiling_is_the_maximum_of_a_range_and_the_price_of_all_else() -> None:
    assert costs.ceiling(make_between(10, 50, action="game.skip_level")) == Money(50, "CREDIT")
    assert costs.ceiling(make_between(10, 50, action="other"), amount=20) == Money(20, "CREDIT")
    assert costs.ceiling(make_cost(amount=5), quantity=2) == Money(10, "CREDIT")


# ---------------------------------------------------------------- versions


def test_unknown_action_names_the_known_ones() -> None:
    make_cost(action="ai.generate")
    make_cost(action="gone", is_active=False)
    make_cost(action="planned", valid_from=timezone.now() + timedelta(hours=1))
    with pytest.raises(errors.UnknownAction) as refusal:
        costs.find("ai.generat")
    assert refusal.value.known_actions == ["ai.generate"]


@pytest.mark.parametrize("action", ["gone", "planned"])
def test_withdrawn_and_planned_actions_are_unknown(action: str) -> None:
    make_cost(action="gone", is_active=False)
    make_cost(action="planned", valid_from=timezone.now() + timedelta(hours=1))
    with pytest.raises(errors.UnknownAction):
        costs.find(action)


def test_planned_change_takes_effect_on_the_second_from_the_cached_table(settings: Any) -> None:
    settings.COSTS_CACHE_SECONDS = timedelta(weeks=1).total_seconds()
    noon = timezone.now() + timedelta(days=1)
    make_cost(version=1, amount=5)
    make_cost(version=2, amount=8, valid_from=noon)
    assert costs.find("ai.generate").amount == 5
    with CaptureQueriesContext(connection) as queries:
        with time_machine.travel(noon - timedelta(seconds=1), tick=False):
            assert costs.find("ai.generate").amount == 5
        with time_machine.travel(noon, tick=False):
            assert costs.find("ai.generate").amount == 8
        assert costs.find("ai.generate", at=noon - timedelta(microseconds=1)).amount == 5
        assert costs.find("ai.generate", at=noon).amount == 8
    assert len(queries) == 0


def test_table_is_read_once_while_it_is_fresh_and_again_when_stale(settings: Any) -> None:
    settings.COSTS_CACHE_SECONDS = 3600
    make_cost()
    with CaptureQueriesContext(connection) as queries:
        costs.find("ai.generate")
        costs.find("ai.generate")
    assert len(queries) == 1
    settings.COSTS_CACHE_SECONDS = 0
    costs.forget()
    with CaptureQueriesContext(connection) as queries:
        costs.find("ai.generate")
        costs.find("ai.generate")
    assert len(queries) == 2


TERMS = costs.Terms(catalogue="ai-credits", kind=CostKind.FIXED, amount=8, label_en="Render")


def test_revise_adds_a_version_and_leaves_the_old_one(django_capture_on_commit_callbacks: Any) -> None:
    before = make_cost(amount=5)
    assert costs.find("ai.generate").amount == 5
    with django_capture_on_commit_callbacks(execute=True):
        after = costs.revise(action="ai.generate", terms=TERMS)
    assert (after.version, after.amount) == (2, 8)
    assert costs.find("ai.generate") == after
    assert costs.find("ai.generate", at=after.valid_from - timedelta(microseconds=1)) == before


def test_revise_refuses_the_past_and_another_catalogue() -> None:
    make_cost()
    with pytest.raises(errors.VersionInThePast):
        costs.revise(action="ai.generate", terms=TERMS, valid_from=timezone.now() - timedelta(seconds=1))
    other = costs.Terms(catalogue="image-credits", kind=CostKind.FIXED, amount=8, label_en="Render")
    with pytest.raises(errors.CatalogueMistake, match="belongs to the catalogue 'ai-credits'"):
        costs.revise(action="ai.generate", terms=other)
    assert Cost.objects.count() == 1


def test_withdrawn_action_keeps_its_history(django_capture_on_commit_callbacks: Any) -> None:
    make_cost()
    with django_capture_on_commit_callbacks(execute=True):
        ended = costs.revise(action="ai.generate", terms=replace(TERMS, is_active=False))
    assert [cost.action for cost in costs.current()] == []
    assert costs.find("ai.generate", at=ended.valid_from - timedelta(microseconds=1)).amount == 5


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_once_make_two_versions(run_together: Any) -> None:
    costs.revise(action="ai.generate", terms=TERMS)
    assert run_together(6, lambda: costs.revise(action="ai.generate", terms=TERMS).version) == [2, 3, 4, 5, 6, 7]


@pytest.mark.django_db(transaction=True)
def test_the_race_is_real_without_the_lock(run_together: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    costs.revise(action="ai.generate", terms=TERMS)
    meet, begin = meeting_of(6), versions.begin

    def begin_when_all_have_looked(valid_from: datetime | None) -> datetime:
        meet()
        return begin(valid_from)

    monkeypatch.setattr(versions, "lock", lambda subject: None)
    monkeypatch.setattr(versions, "begin", begin_when_all_have_looked)

    def revise() -> int:
        try:
            return costs.revise(action="ai.generate", terms=TERMS).version
        except IntegrityError:
            return 0

    assert run_together(6, revise) == [0] * 5 + [2]
