"""Saved cards and consents to automatic top-ups, as operators see them and take them away."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from billing import saved_methods, top_up
from billing.gateways.base import SavedMethod as Told
from billing.models import SavedMethod, TopUp
from billing.models.top_ups import Suspension
from billing.tests.test_payments_in_the_admin import member, press
from billing.tests.topping import agree
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(db: Any) -> User:
    return member("change_consent", "manage_method")


def preview_of_removal(operator: User, card: SavedMethod) -> str:
    answer = press(operator, "billing_savedmethod_remove", card, reason="asked by mail", preview="yes")
    return str(answer.text)


def keep_another(user: User) -> SavedMethod:
    told = Told(id="pm_other", kind="card", brand="visa", last4="1881", expires="2031-01")
    return saved_methods.remember(user=user, gateway="stripe", method=told)


IN_FRENCH = {"on": "activée", "suspended": "suspendue", "off": "désactivée"}


@pytest.mark.parametrize("state", IN_FRENCH)
def test_list_and_page_say_how_a_top_up_stands(ann, operator, state) -> None:
    row = agree(ann)
    if state == "suspended":
        top_up.suspend(row, Suspension.CARD_DECLINED)
    elif state == "off":
        top_up.withdraw(user=ann, by="customer")
    for url in (page("billing_topup_changelist"), page("billing_topup_change", row.pk)):
        text = browser(operator).get(url).text
        assert ann.get_username() in text
        assert f">{state}<" in "".join(text.split())
        french = browser(operator).get(url, headers={"accept-language": "fr"}).text
        assert f">{IN_FRENCH[state]}<" in "".join(french.split())


def test_operator_switches_a_top_up_off_and_their_reason_is_kept(ann, operator) -> None:
    row = agree(ann)
    press(operator, "billing_topup_withdraw", row, reason="asked by mail")
    row.refresh_from_db()
    assert row.withdrawn_at is not None
    assert row.withdrawn_by == f"{operator.get_username()}: asked by mail"
    assert not TopUp.objects.running().exists()


def test_card_that_nothing_is_charged_to_stops_nothing(ann, operator) -> None:
    assert "so nothing stops" in preview_of_removal(operator, SavedMethod.objects.get())


def test_removal_of_the_only_card_says_that_the_top_up_stops(ann, operator) -> None:
    agree(ann)
    assert "The automatic top-up stops" in preview_of_removal(operator, SavedMethod.objects.get())


def test_removal_of_one_card_says_which_is_charged_from_then_on(ann, operator) -> None:
    agree(ann)
    text = preview_of_removal(operator, keep_another(ann))
    assert "The automatic top-up is charged to" in text
    assert SavedMethod.objects.get(last4="4242").last4 in text


def test_operator_removes_a_card(ann, operator) -> None:
    agree(ann)
    card = SavedMethod.objects.get()
    assert ann.get_username() in browser(operator).get(page("billing_savedmethod_change", card.pk)).text
    press(operator, "billing_savedmethod_remove", card, reason="asked by mail")
    card.refresh_from_db()
    assert card.removed_at is not None
    assert TopUp.objects.get().suspended_for == Suspension.CARD_REMOVED


def test_who_may_only_look_switches_nothing_off(ann) -> None:
    looker, row = member("view_topup", "view_savedmethod"), agree(ann)
    assert browser(looker).get(page("billing_topup_change", row.pk)).status_code == 200
    assert press(looker, "billing_topup_withdraw", row, reason="x").status_code == 403
    assert press(looker, "billing_savedmethod_remove", SavedMethod.objects.get(), reason="x").status_code == 403
