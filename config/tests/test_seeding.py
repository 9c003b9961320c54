"""A catalogue of a marketplace reaches the wallets' rows, together with everything else in its file."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from config import seeding
from rest.tests.operators import printed
from wallets.models import CommissionRule, SaleType, SellerKind

pytestmark = pytest.mark.django_db
FILE = """
catalogue: market
title: {en: Market}
seller_kinds:
  organizer: {label: {en: Organizer, fr: Organisateur}}
sale_types:
  ticket_sale: {label: {en: Ticket}, minimum: {EUR: 1}}
commission_rules:
  tickets:
    sale_type: ticket_sale
    seller_kind: organizer
    currency: EUR
    basis_points: 1000
    fixed: 0.25
    minimum: 0.50
    maximum: 20
    tiers: {1000: 800}
    clearing_days: 3
    when_withdrawn: debt
    debt_limit: 100
"""


@pytest.fixture
def shop(tmp_path: Path, settings: Any) -> Path:
    settings.CATALOGUES_DIR = tmp_path
    (tmp_path / "market.yaml").write_text(FILE)
    return tmp_path / "market.yaml"


def seed(*words: str) -> str:
    return printed("seed_catalogue", "market", *words)


def test_the_marketplace_of_a_file_is_seeded_and_a_second_run_changes_nothing(shop: Path) -> None:
    seed()
    rule = CommissionRule.objects.get()
    assert (rule.code, rule.catalogue, rule.sale_type, rule.seller_kind) == (
        "tickets",
        "market",
        SaleType.objects.get(code="ticket_sale"),
        SellerKind.objects.get(code="organizer"),
    )
    assert (rule.basis_points, rule.fixed_minor, rule.minimum_minor, rule.maximum_minor) == (1_000, 25, 50, 2_000)
    assert [(tier.from_volume_minor, tier.basis_points) for tier in rule.tiers.all()] == [(100_000, 800)]
    assert (rule.clearing_days, rule.when_withdrawn, rule.debt_limit_minor) == (3, "debt", 10_000)
    assert SaleType.objects.get().minimum == {"EUR": 100}
    assert seed() == "market: nothing to change\n"


def test_what_changed_is_said_and_what_left_is_switched_off(shop: Path) -> None:
    seed()
    shop.write_text(FILE.replace("basis_points: 1000", "basis_points: 1200").replace("{1000: 800}", "{2000: 900}"))
    assert seed() == (
        "market: ~ commission rule tickets: basis_points 1000 -> 1200, tiers ((100000, 800),) -> ((200000, 900),)\n"
    )
    shop.write_text(FILE[: FILE.index("commission_rules")])
    assert seed() == "market: - commission rule tickets: switched off\n"
    assert not CommissionRule.objects.get().is_active
    shop.write_text(FILE)
    seed()
    assert CommissionRule.objects.get().is_active


def test_a_rule_made_in_the_admin_is_neither_taken_over_nor_switched_off(shop: Path) -> None:
    made = CommissionRule.objects.create(code="tickets", basis_points=5)
    with pytest.raises(CommandError, match="the commission rule 'tickets' belongs to 'the admin'"):
        seed()
    made.refresh_from_db()
    assert (made.basis_points, made.is_active, SaleType.objects.count()) == (5, True, 0)


@pytest.mark.parametrize(
    ("before", "after", "mistake"),
    [
        ("sale_type: ticket_sale", "sale_type: ticket", "'ticket' is not known; write ticket_sale"),
        ("seller_kind: organizer", "seller_kind: nobody", "'nobody' is not known; write organizer"),
        ("currency: EUR", "currency: EUX", "'EUX' is no currency of ISO 4217"),
        ("    currency: EUR\n", "", "is an amount; say its currency too"),
        ("basis_points: 1000", "basis_points: 10001", "write a whole number from 0 to 10000"),
        ("    basis_points: 1000\n", "", "is missing; write for example `basis_points: 1000`"),
        ("minimum: 0.50", "minimum: 21", "is above the maximum"),
        ("fixed: 0.25", "fixed: 0.255", "0.255 has 3 decimals; EUR has 2."),
        ("    debt_limit: 100\n", "", "write both or neither"),
        ("tiers: {1000: 800}", "tiers: {0: 800}", "is a volume above zero"),
        ("tiers: {1000: 800}", "tiers: {many: 800}", "'many' is not a decimal number"),
        ("clearing_days: 3", "clearing_days: 366", "write a whole number from 0 to 365"),
        ("clearing_days: 3", "clearing_day: 3", "is not known"),
    ],
)
def test_a_mistake_in_a_rule_is_told_and_changes_nothing(shop: Path, before: str, after: str, mistake: str) -> None:
    assert before in FILE
    shop.write_text(FILE.replace(before, after))
    with pytest.raises(CommandError) as caught:
        seed()
    assert mistake in str(caught.value)
    assert CommissionRule.objects.count() == 0


def test_the_event_planner_comes_with_its_rules() -> None:
    seeding.seed_all()
    assert set(SellerKind.objects.values_list("code", flat=True)) == {"organizer", "designer"}
    assert set(SaleType.objects.values_list("code", flat=True)) == {"ticket_sale", "template_sale"}
    assert CommissionRule.objects.get(code="template-sales").basis_points == 3_000
    assert CommissionRule.objects.get(code="ticket-sales-in-francs").tiers.count() == 2
    assert all(changes == [] for changes in seeding.seed_all().values())
