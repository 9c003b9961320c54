"""The plans of the catalogues reach the rows, once, and a new price is a new version."""

import pytest

from billing import plan_seeding, plans
from billing.models import Plan, PlanPrice
from config import seeding
from credits import catalogue_files
from ledger.money import Money

pytestmark = pytest.mark.django_db


def test_companions_have_premium_and_elite() -> None:
    seeding.seed(catalogue_files.named("companion-tokens"))
    premium, elite = Plan.objects.get(code="premium"), Plan.objects.get(code="elite")
    assert (premium.grant_rules, premium.is_unlimited, elite.is_unlimited) == (["premium-weekly"], False, True)
    assert premium.features[0] == {"en": "3 active companions", "fr": "3 compagnons actifs"}
    assert premium.entitlements["active_companions"] == 3
    assert plans.price_of(premium, "XOF").amount_minor == 6_550


def test_second_seeding_finds_nothing_to_change() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    assert list(plan_seeding.differences(catalogue)) == []


def test_other_price_in_the_file_is_a_new_version() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    plan = Plan.objects.get(code="dating-premium")
    plans.set_price(plan=plan, interval="month", price=Money(1_998, "EUR"))
    [change] = plan_seeding.differences(catalogue)
    assert str(change) == "~ price of dating-premium a month: 19.98 -> 9.99 EUR"
    change.act()
    assert PlanPrice.objects.filter(plan=plan, interval="month").count() == 3
    assert plans.price_of(plan, "EUR", "month").amount_minor == 999


def test_plan_that_left_the_file_is_off_sale() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    Plan.objects.create(code="old", catalogue="dating-premium", name_en="Old")
    [change] = plan_seeding.differences(catalogue)
    assert str(change) == "- plan old: off sale; whoever has it keeps it"
    change.act()
    assert not Plan.objects.on_sale().filter(code="old").exists()
