import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from rest.tests.operators import page, signed_in, submit
from wallets import adjustments, sellers, withdrawals
from wallets.models import Adjustment, CommissionRule, Withdrawal
from wallets.tests.people import (
    ask,
    available,
    give_back,
    make_kind,
    make_rule,
    make_user,
    parts,
    sell,
    sell_cleared,
    wallet_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance() -> Client:
    return signed_in("finance")


@pytest.fixture
def user() -> User:
    make_rule(code="house", basis_points=0)
    user = make_user()
    sell_cleared(user, 10_000)
    return user


def test_the_queue_begins_with_what_waits_for_approval(finance: Client, user: User, settings: Any) -> None:
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    waiting = ask(user, 1_111)
    paid = withdrawals.approve(withdrawal=ask(user, 2_222), by=make_user())
    withdrawals.mark_sending(withdrawal=paid, gateway="paypal")
    withdrawals.mark_paid(withdrawal=paid)
    text = finance.get(page("wallets_withdrawal_changelist")).content.decode()
    assert text.index("€11.11") < text.index("€22.22")
    assert "Withdrawals to approve" in finance.get(reverse("admin:index")).content.decode()
    assert finance.get(page("wallets_withdrawal_change", waiting.pk)).status_code == 200


def test_an_operator_approves(finance: Client, user: User) -> None:
    withdrawal = ask(user, 4_000)
    answer = submit(finance, page("wallets_withdrawal_approve", withdrawal.pk))
    assert answer.status_code == 302, answer.content
    withdrawal.refresh_from_db()
    assert (withdrawal.status, withdrawal.approved_by) == ("approved", User.objects.get(username="olive"))


def test_a_large_one_is_approved_by_two_operators(finance: Client, user: User, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 100}
    withdrawal = ask(user, 4_000)
    submit(finance, page("wallets_withdrawal_approve", withdrawal.pk))
    again = submit(finance, page("wallets_withdrawal_approve", withdrawal.pk))
    assert "it needs a second person" in again.content.decode()
    assert Withdrawal.objects.get().status == "requested"
    submit(signed_in("finance", name="peter"), page("wallets_withdrawal_approve", withdrawal.pk))
    assert Withdrawal.objects.get().status == "approved"


def test_an_operator_rejects_with_a_reason(finance: Client, user: User) -> None:
    withdrawal = ask(user, 4_000)
    empty = submit(finance, page("wallets_withdrawal_reject", withdrawal.pk), reason="")
    assert (empty.status_code, available(user)) == (200, 6_000)
    submit(finance, page("wallets_withdrawal_reject", withdrawal.pk), reason="Not your number.")
    withdrawal.refresh_from_db()
    assert (withdrawal.status, withdrawal.reason, available(user)) == ("rejected", "Not your number.", 10_000)
    late = submit(finance, page("wallets_withdrawal_approve", withdrawal.pk))
    assert "The withdrawal has moved on: rejected." in late.content.decode()


def test_an_adjustment_needs_a_reason_and_is_booked_once(finance: Client, user: User) -> None:
    wallet = wallet_of(user)
    url = page("wallets_wallet_adjust", wallet.pk)
    opened = finance.get(url)
    form = {"key": str(opened.context["form"]["key"].value()), "direction": "less", "amount": "12.34"}
    assert finance.post(url, form | {"reason": ""}).status_code == 200
    for _ in range(2):
        assert finance.post(url, form | {"reason": "Paid twice"}).status_code == 302
    assert (available(user), on("adjustments:EUR"), Adjustment.objects.count()) == (8_766, 1_234, 1)
    assert faults() == {}


@pytest.mark.parametrize("amount", ["0", "-1", "1.234", "ten", "100.01"])
def test_an_adjustment_that_cannot_be_is_refused(finance: Client, user: User, amount: str) -> None:
    answer = submit(
        finance, page("wallets_wallet_adjust", wallet_of(user).pk), direction="less", amount=amount, reason="x"
    )
    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors()
    assert (available(user), Adjustment.objects.count()) == (10_000, 0)


def test_a_large_adjustment_waits_for_another_person(finance: Client, user: User, settings: Any) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 500}
    submit(finance, page("wallets_wallet_adjust", wallet_of(user).pk), direction="more", amount="6", reason="Goodwill")
    adjustment = Adjustment.objects.get()
    assert (adjustment.status, available(user)) == ("requested", 10_000)
    own = submit(finance, page("wallets_adjustment_approve", adjustment.pk))
    assert "it needs a second person" in own.content.decode()
    finance.cookies["django_language"] = "fr"
    french = submit(finance, page("wallets_adjustment_approve", adjustment.pk))
    assert "Vous l’avez déjà approuvé : il faut une deuxième personne." in french.content.decode()
    finance.cookies["django_language"] = "en"
    submit(signed_in("finance", name="peter"), page("wallets_adjustment_approve", adjustment.pk))
    assert (Adjustment.objects.get().status, available(user)) == ("booked", 10_600)
    late = submit(finance, page("wallets_adjustment_reject", adjustment.pk))
    assert "The adjustment is decided already: booked." in late.content.decode()
    assert faults() == {}


def test_an_adjustment_may_be_rejected_and_books_nothing(user: User, settings: Any) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 0}
    wallet = wallet_of(user)
    asked = adjustments.request(
        wallet=wallet, amount=Money(-100, "EUR"), reason="x", key="adjustment:1", by=make_user("operator")
    )
    done = adjustments.reject(adjustment=asked, by=make_user("operator"))
    assert (done.status, parts(user)["available"]) == ("rejected", 10_000)


def test_a_second_person_rejects_an_adjustment_by_its_button(finance: Client, user: User, settings: Any) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 500}
    submit(finance, page("wallets_wallet_adjust", wallet_of(user).pk), direction="more", amount="6", reason="Goodwill")
    peter, asked = signed_in("finance", name="peter"), Adjustment.objects.get()
    answer = submit(peter, page("wallets_adjustment_reject", asked.pk))
    assert "Rejected." in peter.get(answer["Location"]).content.decode()
    asked.refresh_from_db()
    decided = asked.decided_by
    assert decided is not None
    assert (asked.status, decided.username, available(user)) == ("rejected", "peter", 10_000)
    late = submit(finance, page("wallets_adjustment_approve", asked.pk))
    assert "The adjustment is decided already: rejected." in late.content.decode()
    assert available(user) == 10_000


def test_a_wallets_page_says_how_it_stands(finance: Client, user: User) -> None:
    sell(user, 777, reference="order-77")
    ask(user, 4_000)
    text = finance.get(page("wallets_wallet_change", wallet_of(user).pk)).content.decode()
    for said in ("€60.00", "€40.00", "€7.77", "order-77", "cleared · <strong>\N{EM DASH}</strong> · available €100.00"):
        assert said in text
    assert user.username in finance.get(page("wallets_wallet_changelist")).content.decode()


def test_a_sales_page_explains_its_rule(finance: Client, user: User) -> None:
    make_rule(code="mine", seller=sellers.of(user))
    sale = sell(user, 500)
    text = finance.get(page("wallets_sale_change", sale.pk)).content.decode()
    assert "mine asks for seller; it goes before house." in text
    for said in ("10.00 %", "clears after 7 days", "refund after a withdrawal: refuse the refund"):
        assert f"<div>{said}</div>" in text
    assert finance.post(page("wallets_sale_delete", sale.pk), {"post": "yes"}).status_code == 403


def test_a_sales_page_says_all_terms_of_that_day(finance: Client, user: User) -> None:
    rule = make_rule(
        code="mine", seller=sellers.of(user), currency="EUR", fixed_minor=10, minimum_minor=20, maximum_minor=900,
        when_withdrawn="debt", debt_limit_minor=3_000,
    )  # fmt: skip
    rule.tiers.create(from_volume_minor=100_000, basis_points=500)
    text = finance.get(page("wallets_sale_change", sell(user, 500).pk)).content.decode()
    for said in (
        "fixed part: €0.10", "at least €0.20", "at most €9.00", "debt limit: €30.00",
        "from €1,000.00 sold in the month on: 5.00 %",
    ):  # fmt: skip
        assert f"<div>{said}</div>" in text


def test_a_sale_that_no_rule_fitted_says_so(finance: Client, user: User) -> None:
    CommissionRule.objects.update(is_active=False)
    text = finance.get(page("wallets_sale_change", sell(user, 500).pk)).content.decode()
    assert "No rule fitted: the setting WALLETS_COMMISSION_BASIS_POINTS." in text


def test_a_page_of_a_wallet_that_is_not_there_leads_back(finance: Client) -> None:
    assert finance.get(page("wallets_wallet_change", 404)).status_code == 302


def test_what_was_taken_back_is_written_as_money(finance: Client, user: User) -> None:
    sale = sell(user, 2_500, reference="seat 9")
    give_back(sale, "refund:1", amount=Money(1_250, "EUR"))
    text = re.sub(r"<[^>]*>", " ", finance.get(page("wallets_sale_change", sale.pk)).content.decode())
    assert "€12.50" in text
    assert "1250" not in text


def test_kind_and_reserve_are_set_by_buttons(finance: Client, user: User) -> None:
    seller, kind = sellers.of(user), make_kind("designer")
    submit(finance, page("wallets_seller_set_kind", seller.pk), kind=kind.pk)
    submit(finance, page("wallets_seller_set_reserve", seller.pk), basis_points=1_000, days=30)
    half = submit(finance, page("wallets_seller_set_reserve", seller.pk), basis_points=1_000, days=0)
    assert half.context["form"].non_field_errors()
    seller.refresh_from_db()
    assert (seller.kind, seller.reserve_basis_points, seller.reserve_days) == (kind, 1_000, 30)


RULE = {
    "code": "vip", "basis_points": "500", "fixed_minor": "0", "when_withdrawn": "refuse", "debt_limit_minor": "0",
    "valid_from_0": "2026-01-01", "valid_from_1": "00:00", "is_active": "on", "currency": "eur",
    "tiers-TOTAL_FORMS": "1", "tiers-INITIAL_FORMS": "0", "tiers-0-from_volume_minor": "1000",
    "tiers-0-basis_points": "400",
}  # fmt: skip


def test_a_rule_is_made_with_its_tiers_and_never_deleted(finance: Client) -> None:
    answer = finance.post(page("wallets_commissionrule_add"), RULE)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    rule = CommissionRule.objects.get()
    assert (rule.code, rule.currency, rule.tiers.get().basis_points) == ("vip", "EUR", 400)
    assert "5.00 %" in finance.get(page("wallets_commissionrule_changelist")).content.decode()
    assert finance.post(page("wallets_commissionrule_delete", rule.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"basis_points": "10001"},
        {"currency": "EUX"},
        {"currency": "", "fixed_minor": "5"},
        {"minimum_minor": "10", "maximum_minor": "5"},
        {"minimum_minor": "0.001"},
        {"maximum_minor": "-1"},
        {"tiers-0-from_volume_minor": ""},
        {"tiers-0-from_volume_minor": "much"},
        {"when_withdrawn": "debt"},
        {"clearing_days": "366"},
        {"code": "Not a code"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(finance: Client, changes: dict[str, str]) -> None:
    answer = finance.post(page("wallets_commissionrule_add"), RULE | changes)
    assert answer.status_code == 200
    tiers = answer.context["inline_admin_formsets"][0].formset
    assert answer.context["adminform"].form.errors or any(tiers.errors)
    assert CommissionRule.objects.count() == 0


AMOUNTS = {"fixed_minor": "0.25", "minimum_minor": "1", "maximum_minor": "1000,50", "tiers-0-from_volume_minor": "2500"}


def fields_of(finance: Client, rule: CommissionRule) -> dict[str, str]:
    opened = finance.get(page("wallets_commissionrule_change", rule.pk)).content.decode()
    return {name: value for name, value in re.findall(r'name="([^"]+_minor)" value="([^"]*)"', opened) if value}


def test_amounts_of_a_rule_are_written_in_the_decimals_of_its_currency(finance: Client) -> None:
    finance.post(page("wallets_commissionrule_add"), RULE | AMOUNTS)
    rule = CommissionRule.objects.get()
    kept = (rule.fixed_minor, rule.minimum_minor, rule.maximum_minor, rule.tiers.get().from_volume_minor)
    assert kept == (25, 100, 100_050, 250_000)
    assert fields_of(finance, rule) == {
        "fixed_minor": "0.25", "minimum_minor": "1.00", "maximum_minor": "1000.50", "debt_limit_minor": "0.00",
        "tiers-0-from_volume_minor": "2500.00",
    }  # fmt: skip


def test_amounts_that_stay_are_others_in_another_currency(finance: Client) -> None:
    """The page is sent as it is but for the currency; a tier that looks unchanged is read anew as well."""
    francs = {"currency": "XOF", "fixed_minor": "25", "tiers-0-from_volume_minor": "2500"}
    finance.post(page("wallets_commissionrule_add"), RULE | francs)
    rule = CommissionRule.objects.get()
    tier = {"tiers-INITIAL_FORMS": "1", "tiers-0-id": str(rule.tiers.get().pk), "tiers-0-rule": str(rule.pk)}
    sent = RULE | fields_of(finance, rule) | tier
    assert sent["tiers-0-from_volume_minor"] == "2500"
    finance.post(page("wallets_commissionrule_change", rule.pk), sent | {"currency": "EUR"})
    rule.refresh_from_db()
    assert (rule.currency, rule.fixed_minor, rule.tiers.get().from_volume_minor) == ("EUR", 2_500, 250_000)
    sent |= fields_of(finance, rule)
    answer = finance.post(page("wallets_commissionrule_change", rule.pk), sent | {"currency": "XOF"})
    assert "2500.00 has more decimals than XOF, which has 0." in answer.content.decode()
    rule.refresh_from_db()
    assert (rule.currency, rule.tiers.get().from_volume_minor) == ("EUR", 250_000)


def test_who_may_only_look_at_a_rule_sees_money_too(user: User) -> None:
    rule = make_rule(code="vip", currency="EUR", fixed_minor=25, maximum_minor=100_050, minimum_minor=None)
    rule.tiers.create(from_volume_minor=250_000, basis_points=400)
    text = signed_in("auditor", name="paul").get(page("wallets_commissionrule_change", rule.pk)).content.decode()
    for amount in ("€0.25", "€1,000.50", "€2,500.00"):
        assert re.search(rf">\s*{amount}\s*<", text)
    assert not re.search(r">\s*(25|100,?050|250,?000)\s*<", text)


def test_tiers_of_a_rule_for_every_currency_are_refused(finance: Client) -> None:
    """What is sold in a month is counted by currency, so nobody could say which tier it has reached."""
    answer = finance.post(page("wallets_commissionrule_add"), RULE | {"currency": ""})
    assert "give the rule a currency" in answer.content.decode()
    assert CommissionRule.objects.count() == 0
    finance.post(page("wallets_commissionrule_add"), RULE)
    rule = CommissionRule.objects.get()
    tier = {"tiers-INITIAL_FORMS": "1", "tiers-0-id": str(rule.tiers.get().pk), "tiers-0-rule": str(rule.pk)}
    answer = finance.post(page("wallets_commissionrule_change", rule.pk), RULE | tier | {"currency": ""})
    assert "give the rule a currency" in answer.content.decode()
    finance.post(page("wallets_commissionrule_change", rule.pk), RULE | tier | {"currency": "", "tiers-0-DELETE": "on"})
    rule.refresh_from_db()
    assert (rule.currency, rule.tiers.count()) == ("", 0)


def test_support_reads_everything_and_decides_nothing(user: User) -> None:
    support = signed_in("support", name="sam")
    withdrawal, wallet = ask(user, 100), wallet_of(user)
    rows = {"withdrawal": withdrawal.pk, "wallet": wallet.pk, "seller": wallet.seller.pk}
    for model, pk in rows.items():
        assert support.get(page(f"wallets_{model}_changelist")).status_code == 200
        assert support.get(page(f"wallets_{model}_change", pk)).status_code == 200
    for model in ("sale", "adjustment", "commissionrule", "saletype", "sellerkind"):
        assert support.get(page(f"wallets_{model}_changelist")).status_code == 200
    assert support.post(page("wallets_withdrawal_approve", withdrawal.pk), {}).status_code == 403
    assert support.post(page("wallets_withdrawal_reject", withdrawal.pk), {}).status_code == 403
    assert support.post(page("wallets_wallet_adjust", wallet.pk), {}).status_code == 403
    assert support.post(page("wallets_seller_set_reserve", wallet.seller.pk), {}).status_code == 403
    assert support.get(page("wallets_commissionrule_add")).status_code == 403
    assert (Withdrawal.objects.get().status, available(user)) == ("requested", 9_900)
