"""The plans of the catalogues reach the rows, once, and a new price is a new version."""

import pytest

from billing import plan_seeding, plans
from billing.models import Plan, PlanPrice
from config import seeding
from credits import catalogue_files
from credits.errors import CatalogueMistake
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


def test_plan_that_comes_back_is_on_sale_again_as_the_file_says() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    Plan.objects.update(is_active=False, name_en="Old", trial_days=3)
    [change] = plan_seeding.differences(catalogue)
    assert str(change) == "~ plan dating-premium: name_en, trial_days, is_active"
    change.act()
    plan = plans.find("dating-premium")
    assert (plan.name_en, plan.trial_days, list(plan_seeding.differences(catalogue))) == ("Premium", 0, [])


def test_price_that_the_file_does_not_name_is_withdrawn_once() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    plan = plans.find("dating-premium")
    plans.set_price(plan=plan, interval="month", price=Money(1_099, "USD"))
    [change] = plan_seeding.differences(catalogue)
    assert str(change) == "- price of dating-premium: no longer USD a month"
    change.act()
    [offer] = plans.on_sale()
    assert [(price.interval, price.money) for price in offer.prices] == [
        ("month", Money(999, "EUR")),
        ("year", Money(9_990, "EUR")),
    ]
    assert (plans.on_sale(currency="USD"), list(plan_seeding.differences(catalogue))) == ([], [])


def test_price_that_was_withdrawn_is_offered_again() -> None:
    catalogue = catalogue_files.named("dating-premium")
    seeding.seed(catalogue)
    plan = plans.find("dating-premium")
    withdrawn = plans.withdraw_price(plan=plan, interval="month", currency="EUR")
    assert (withdrawn.money, withdrawn.is_active) == (Money(999, "EUR"), False)
    assert [price.interval for price in plans.on_sale()[0].prices] == ["year"]
    [change] = plan_seeding.differences(catalogue)
    assert str(change) == "+ price of dating-premium: 9.99 EUR a month"
    change.act()
    assert plans.price_of(plan, "EUR", "month").money == Money(999, "EUR")


def test_plan_of_a_catalogue_that_is_gone_is_not_taken_over() -> None:
    Plan.objects.create(code="dating-premium", catalogue="gone", name_en="Old")
    with pytest.raises(CatalogueMistake, match="the plan 'dating-premium' belongs to 'gone'; write another code"):
        seeding.checked([catalogue_files.named("dating-premium")])
    assert Plan.objects.get().catalogue == "gone"
