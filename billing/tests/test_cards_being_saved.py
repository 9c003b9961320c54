"""Pages on which a card is saved, and what comes to them late, twice, or from a gateway that says no."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from billing import errors, inbox, method_removals, method_setups, saved_methods, tasks
from billing.gateways.base import Hint, Trust
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import SetupResult, SetupState
from billing.models import GatewayLetter, GatewaySetting, MethodSetup, SavedMethod
from billing.tests.fakes import KeepingGateway
from rest.tests.callers import customer, post

pytestmark = pytest.mark.django_db
NO = Declined("no", gateway="stripe", category=FailureCategory.NOT_SUPPORTED, code="currency_not_supported")
AWAY = Unavailable("away", gateway="stripe", category=FailureCategory.PROVIDER_DOWN, code="503")


def refuse(keeping: KeepingGateway, monkeypatch: pytest.MonkeyPatch, name: str, error: GatewayError) -> None:
    def say_no(*_: Any, **__: Any) -> SetupResult:
        raise error

    monkeypatch.setattr(keeping, name, say_no)


@pytest.mark.parametrize(("minutes", "is_shown_again"), [(61, True), (59, False)])
def test_page_is_shown_again_while_an_hour_of_it_is_left(
    ann: User, keeping: KeepingGateway, minutes: int, is_shown_again: bool
) -> None:
    first = method_setups.start(user=ann)
    end = timezone.now() + timedelta(minutes=minutes)
    MethodSetup.objects.update(next_action={**first.next_action, "expires_at": end.isoformat()})
    assert (method_setups.start(user=ann) == first) is is_shown_again
    assert MethodSetup.objects.count() == (1 if is_shown_again else 2)


@pytest.mark.parametrize("error", [NO, AWAY])
def test_page_that_surely_was_not_opened_is_over_at_once(
    ann: User, keeping: KeepingGateway, monkeypatch: pytest.MonkeyPatch, error: GatewayError
) -> None:
    refuse(keeping, monkeypatch, "open_setup", error)
    with pytest.raises(type(error)):
        method_setups.start(user=ann)
    over = MethodSetup.objects.get()
    assert (over.state, over.failure_code, over.next_ask_at) == ("failed", error.code, None)


def test_card_is_saved_at_the_first_gateway_that_keeps_any(ann: User, keeping: KeepingGateway) -> None:
    GatewaySetting.objects.filter(name="stripe").update(priority=9)
    assert method_setups.start(user=ann).gateway == "stripe"


def test_where_no_gateway_keeps_cards_none_is_asked_for(ann: User, keeping: KeepingGateway) -> None:
    GatewaySetting.objects.filter(name="stripe").update(is_enabled=False)
    answer = post("payment-methods", customer(ann))
    assert (answer.status_code, answer.json()["code"]) == (422, "no_gateway_keeps_methods")
    assert not MethodSetup.objects.exists()


def test_page_that_is_over_is_not_asked_about(
    ann: User, keeping: KeepingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = method_setups.start(user=ann)
    keeping.setup = SetupState.CANCELLED
    over = method_setups.ask(setup)
    refuse(keeping, monkeypatch, "fetch_setup", AWAY)
    assert (over.state, method_setups.ask(over)) == ("failed", over)


def test_answer_that_is_older_than_the_end_changes_nothing(
    ann: User, keeping: KeepingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, usual = method_setups.start(user=ann), keeping.fetch_setup

    def slow(**asked: Any) -> SetupResult:
        said = usual(**asked)
        monkeypatch.setattr(keeping, "fetch_setup", usual)
        keeping.setup = SetupState.SUCCEEDED
        method_setups.ask(setup)
        return said

    keeping.setup = SetupState.CANCELLED
    monkeypatch.setattr(keeping, "fetch_setup", slow)
    told = method_setups.ask(setup)
    assert (told.state, told.failure_code, told.method) == ("saved", "", saved_methods.latest(ann))


@pytest.mark.parametrize("reference", ["", "not-ours", UUID(int=7).hex])
def test_letter_about_a_card_that_we_did_not_ask_for_is_left(keeping: KeepingGateway, reference: str) -> None:
    told = Hint(event_id="evt_1", kind="k", subject=Subject.SETUP, trust=Trust.SIGNED, reference=reference)
    inbox.store("stripe", [told])
    inbox.drain()
    assert (GatewayLetter.objects.get().state, MethodSetup.objects.count()) == ("ignored", 0)


def test_page_whose_gateway_is_away_is_asked_about_again(
    ann: User, keeping: KeepingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    method_setups.start(user=ann)
    MethodSetup.objects.update(next_ask_at=timezone.now())
    refuse(keeping, monkeypatch, "fetch_setup", AWAY)
    tasks.look_after_methods()
    setup = MethodSetup.objects.get()
    assert (setup.state, setup.asks) == ("open", 1)
    assert setup.next_ask_at is not None
    assert setup.next_ask_at > timezone.now()


def test_card_that_two_windows_remove_is_removed_once(ann: User, keeping: KeepingGateway) -> None:
    seen = SavedMethod.objects.get()
    method_removals.remove(method=seen)
    removed_at = SavedMethod.objects.get().removed_at
    with pytest.raises(errors.NotYours):
        method_removals.remove(method=seen)
    assert (SavedMethod.objects.get().removed_at, keeping.forgot) == (removed_at, ["pm_1"])
