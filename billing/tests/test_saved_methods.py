"""Saved cards: the sweep of those being saved or removed, and a removal beside a charge. Journeys play the rest."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from time_machine import Traveller

from billing import method_removals, method_setups, saved_methods, tasks, top_up_charges
from billing.gateways.base import SavedMethod as Told
from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.subscribing import SetupState
from billing.models import MethodSetup, SavedMethod, TopUp, TopUpCharge
from billing.models.top_ups import Suspension
from billing.tests import shop
from billing.tests.topping import agree
from credits.tests import gates
from rest.tests.callers import customer, post

pytestmark = pytest.mark.django_db
NO = Declined("no", gateway="stripe", category=FailureCategory.INSUFFICIENT_FUNDS, code="insufficient_funds")
STOPPED = ("card_declined", 3)


def test_card_is_not_asked_for_where_no_gateway_keeps_any(gateways) -> None:
    answer = post("payment-methods", customer(shop.make_user()))
    assert (answer.status_code, answer.json()["code"]) == (422, "no_gateway_keeps_methods")
    assert not MethodSetup.objects.exists()


def test_sweep_saves_what_nobody_came_back_from_and_forgets_what_was_removed(ann: User, keeping: Any) -> None:
    setup = method_setups.start(user=ann)
    SavedMethod.objects.update(removed_at=timezone.now())
    MethodSetup.objects.update(next_ask_at=timezone.now())
    tasks.look_after_methods()
    setup.refresh_from_db()
    assert (setup.state, setup.asks, keeping.forgot) == ("open", 1, ["pm_1"])
    keeping.setup = SetupState.SUCCEEDED
    MethodSetup.objects.update(next_ask_at=timezone.now())
    tasks.look_after_methods()
    setup.refresh_from_db()
    assert (setup.state, setup.method, keeping.forgot) == ("saved", saved_methods.latest(ann), ["pm_1"])


@pytest.mark.parametrize(("age", "state"), [(119, "open"), (120, "expired")])
def test_page_that_its_gateway_never_heard_of_is_over_after_a_while(
    ann: User, keeping: Any, clock: Traveller, age: int, state: str
) -> None:
    setup = method_setups.start(user=ann)
    MethodSetup.objects.update(created_at=timezone.now())
    setup.refresh_from_db()
    keeping.setup = SetupState.NOT_FOUND
    clock.shift(timedelta(seconds=age))
    assert method_setups.ask(setup).state == state


def test_card_removed_before_the_gateway_heard_of_the_charge_is_not_charged(
    ann: User, keeping: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree(ann)
    usual = top_up_charges._bring_to_gateway

    def removed_first(begun: TopUpCharge) -> None:
        method_removals.remove(method=begun.method)
        usual(begun)

    monkeypatch.setattr(top_up_charges, "_bring_to_gateway", removed_first)
    tasks.top_up()
    assert keeping.charged == []
    assert TopUpCharge.objects.get().payment.status == "cancelled"
    assert TopUp.objects.get().suspended_for == "card_removed"


def test_card_that_was_removed_does_not_come_back_with_an_old_payment(ann: User, keeping: Any) -> None:
    method = saved_methods.latest(ann)
    assert method is not None
    method_removals.remove(method=method)
    saved_methods.remember(user=ann, gateway="stripe", method=Told(id=method.gateway_id))
    assert saved_methods.latest(ann) is None


def test_top_up_goes_on_with_the_card_before_when_the_last_one_is_removed(ann: User, keeping: Any) -> None:
    last = saved_methods.remember(user=ann, gateway="stripe", method=Told(id="pm_2"))
    agree(ann)
    removal = method_removals.remove(method=last)
    assert (removal.stops_top_up, removal.goes_on_with) == (False, saved_methods.latest(ann))
    tasks.top_up()
    assert [each.method for each in keeping.charged] == ["pm_1"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_page_says_of_every_reason_why_the_top_up_has_stopped(ann: User, client: Client, language: str) -> None:
    client.force_login(ann)
    agreed, said = agree(ann), set()
    for reason in Suspension:
        TopUp.objects.filter(pk=agreed.pk).update(suspended_at=timezone.now(), suspended_for=reason)
        page = client.get("/payment-methods", headers={"accept-language": language}).content.decode()
        said |= {" ".join(text.split()) for text in re.findall(r'<p class="notice[^>]*>(.*?)</p>', page, re.DOTALL)}
    assert len(said) == len(Suspension)
    assert all("Pack Medium" in each for each in said)
    assert ("has stopped" in " ".join(said)) is (language == "en")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("locked", [True, False])
def test_new_card_does_not_lose_against_the_third_decline_of_the_old_one(
    ann: User, keeping: Any, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """The decline has found the old card to be the last one when another is kept. The canary: without the lock what it
    writes then stops the top-up, with a card that nobody has tried."""
    agree(ann)
    keeping.refuses_charge = NO
    for _ in range(2):
        TopUp.objects.update(next_try_at=None)
        tasks.top_up()
    TopUp.objects.update(next_try_at=None)
    usual = top_up_charges._failed

    def failed(*facts: Any) -> None:
        gates.wait_at_the_gate()
        usual(*facts)

    def keep_another() -> None:
        gates.wait_for_a_rival()
        saved_methods.remember(user=ann, gateway="stripe", method=Told(id="pm_2"))

    monkeypatch.setattr(top_up_charges, "_failed", failed)
    if not locked:
        monkeypatch.setattr(saved_methods, "lock", lambda user: None)
    gates.run_through_the_gate([tasks.top_up, keep_another])
    assert (TopUp.objects.get().suspended_for, TopUp.objects.get().declines) == (("", 0) if locked else STOPPED)
