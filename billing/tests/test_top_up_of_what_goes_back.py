"""Credits that go back, are frozen or are taken by hand are not bought again by themselves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from billing import gateway_refunds, refund_sending, saved_methods, top_up, top_up_charges
from billing.gateways.base import SavedMethod as Told
from billing.gateways.errors import Declined, FailureCategory
from billing.models import Payment, TopUp, TopUpCharge
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.fakes import ChargingGateway
from billing.tests.refunding import ask_for, disputed
from billing.tests.test_payments_in_the_admin import member, press
from billing.tests.topping import WORDS, agree
from credits import grants, holds, takebacks, usage
from credits.models import Grant
from credits.tests import gates
from credits.tests.people import give
from events.models import Event
from ledger import checks
from ledger.money import Money
from rest.tests.callers import post, service

pytestmark = pytest.mark.django_db
NO = Declined("no", gateway="stripe", category=FailureCategory.INSUFFICIENT_FUNDS, code="insufficient_funds")
ANEW = f"{WORDS} Once more."


@pytest.fixture
def bought(charging: ChargingGateway) -> Payment:
    """By somebody who saved the card, agreed to top-ups, and has used nothing yet."""
    payment = shop.paid(charging, save_method=True)
    agree(payment.user)
    charging.asked.clear()
    return payment


def refunded_at_the_gateway(payment: Payment) -> None:
    gateway_refunds.book(attempt=payment.attempts.get(), amount=Money(999, "EUR"), ids={"refund": "re_1"})


def only_grant(user: User) -> Grant:
    return Grant.objects.of(user).select_related("purse__user").get(source="pack")


def adjusted(payment: Payment) -> None:
    grants.adjust(user=payment.user, amount=-200, reason="given by mistake", key="less")


def revoked(payment: Payment) -> None:
    grants.revoke(grant=only_grant(payment.user), reason="given by mistake")


def frozen(payment: Payment) -> None:
    grants.freeze(grant=only_grant(payment.user), reason="looked into")


LOSSES = [
    (ask_for, "refunded"),
    (refunded_at_the_gateway, "refunded"),
    (disputed, "disputed"),
    (adjusted, "taken_back"),
    (revoked, "taken_back"),
    (frozen, "taken_back"),
]


@pytest.mark.parametrize(("lose", "reason"), LOSSES, ids=lambda each: getattr(each, "__name__", each))
def test_what_is_lost_otherwise_than_by_use_is_charged_only_after_another_consent(
    charging: ChargingGateway, bought: Payment, lose: Callable[[Payment], None], reason: str
) -> None:
    lose(bought)
    assert shop.credits_of(bought.user) < 100
    for _ in range(3):
        assert top_up_charges.work_through() == 0
    assert (charging.charged, TopUpCharge.objects.count()) == ([], 0)
    assert top_up.of(bought.user).suspended_for == reason
    [told] = Event.objects.filter(type="top_up.suspended")
    assert told.data["reason"] == reason

    agree(bought.user, consent=ANEW)
    assert top_up_charges.work_through() == 1
    assert checks.faults() == {}


def test_consent_that_was_given_anew_stands_when_the_refund_arrives(charging: ChargingGateway, bought: Payment) -> None:
    ask_for(bought)
    agree(bought.user, consent=ANEW)
    refund_sending.work_through()
    assert top_up_charges.work_through() == 1
    assert top_up.of(bought.user).suspended_at is None


def test_refund_that_leaves_the_credits_to_the_customer_stops_nothing(bought: Payment) -> None:
    ask_for(bought, policy=RefundPolicy.GOODWILL)
    assert top_up.of(bought.user).suspended_at is None


def test_refund_of_another_unit_stops_nothing(ann: User) -> None:
    shop.make_pack(code="gems", unit="GEMS")
    agree(ann, pack="gems")
    ask_for(Payment.objects.get(), policy=RefundPolicy.FULL_WITH_DEBT)
    assert top_up.of(ann).suspended_at is None


def test_card_that_comes_after_a_refund_does_not_start_what_cards_had_stopped(
    charging: ChargingGateway, ann: User
) -> None:
    agree(ann)
    charging.refuses_charge = NO
    for _ in range(3):
        TopUp.objects.update(next_try_at=None)
        top_up_charges.work_through()
    charging.refuses_charge = None
    assert top_up.of(ann).suspended_for == "card_declined"
    disputed(Payment.objects.earliest("id"))
    assert top_up.of(ann).suspended_for == "disputed"
    assert agree(ann, consent=ANEW).suspended_for == "card_declined"  # the same card has said no three times
    disputed(Payment.objects.earliest("id"), name="dp_2")
    saved_methods.remember(user=ann, gateway="stripe", method=Told(id="pm_2"))
    assert top_up_charges.work_through() == 0
    assert agree(ann, consent=WORDS).suspended_at is None
    assert top_up_charges.work_through() == 1


def test_debt_that_a_pack_would_vanish_in_is_not_charged_for(charging: ChargingGateway, ann: User) -> None:
    ask_for(Payment.objects.get(), policy=RefundPolicy.FULL_WITH_DEBT)
    refund_sending.work_through()
    agree(ann)
    assert top_up_charges.work_through() == 0
    assert (charging.charged, top_up.of(ann).suspended_at) == ([], None)
    give(ann, 1)
    assert top_up_charges.work_through() == 1
    assert shop.credits_of(ann) == 1
    assert checks.faults() == {}


# ---------------------------------------------------------------- what operators take beside what is used


def test_use_that_would_have_been_low_anyway_is_charged(charging: ChargingGateway, bought: Payment) -> None:
    grants.adjust(user=bought.user, amount=-20, reason="given by mistake", key="less")
    usage.spend(user=bought.user, key="one", amount=175)
    assert top_up_charges.work_through() == 0
    agree(bought.user, consent=ANEW)  # it was low for those 20 only
    usage.spend(user=bought.user, key="two", amount=1)
    assert top_up_charges.work_through() == 1


def test_what_operators_have_given_as_well_is_set_against_it(charging: ChargingGateway, bought: Payment) -> None:
    adjusted(bought)
    grants.adjust(user=bought.user, amount=200, reason="it was right", key="more")
    usage.spend(user=bought.user, key="one", amount=200)
    assert top_up_charges.work_through() == 1


def test_correction_before_the_last_charge_is_over_and_done_with(charging: ChargingGateway, bought: Payment) -> None:
    grants.adjust(user=bought.user, amount=-50, reason="given by mistake", key="less")
    usage.spend(user=bought.user, key="one", amount=225)
    assert top_up_charges.work_through() == 1
    usage.spend(user=bought.user, key="two", amount=200)
    TopUp.objects.update(next_try_at=None)
    assert shop.credits_of(bought.user) == 75
    assert top_up_charges.work_through() == 1


def test_hold_that_a_revoked_grant_had_counts_as_taken_back(charging: ChargingGateway, bought: Payment) -> None:
    held = holds.reserve(user=bought.user, key="job", amount=200)
    revoked(bought)
    holds.release(hold=held.id)
    grants.expire_due()
    assert top_up_charges.work_through() == 0
    assert top_up.of(bought.user).suspended_for == "taken_back"


# ---------------------------------------------------------------- what is said before


@pytest.mark.parametrize(("policy", "stops"), [("unspent_only", True), ("goodwill", False)])
def test_preview_says_whether_the_top_up_stops(bought: Payment, policy: str, stops: bool) -> None:
    said = post("refunds/preview", service("request_refund"), {"payment": str(bought.pk), "policy": policy}).json()
    assert said["stops_top_up"] is stops
    operator = member("request_refund")
    shown = press(operator, "billing_payment_refund", bought, reason="asked", policy=policy, preview="yes").text
    assert ("The automatic top-up stops, until the customer agrees to it anew." in shown) is stops
    assert top_up.of(bought.user).suspended_at is None


def test_preview_without_a_top_up_says_nothing_of_it(charging: ChargingGateway) -> None:
    payment = shop.paid(charging)
    said = post("refunds/preview", service("request_refund"), {"payment": str(payment.pk)}).json()
    assert said["stops_top_up"] is False


# ---------------------------------------------------------------- locks


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_order", [True, False])
def test_refund_and_a_payment_that_keeps_a_card_do_not_die_of_each_other(
    charging: ChargingGateway, monkeypatch: pytest.MonkeyPatch, in_order: bool
) -> None:
    """Both lock a payment, then the customer, then their purse. The canary: with the purse before the customer the
    database ends one of them."""
    first = shop.paid(charging, save_method=True)
    agree(first.user)
    second = shop.buy(first.user, gateways=["stripe"], save_method=True)
    charging.card = "pm_2"
    charging.pays(second.attempts.get().reference)
    usual = takebacks.lock

    def locked(**facts: Any) -> None:
        usual(**facts)
        gates.wait_at_the_gate()

    def told() -> Payment:
        gates.wait_for_a_rival()
        return shop.told(second)

    monkeypatch.setattr(takebacks, "lock", locked)
    if not in_order:
        monkeypatch.setattr(top_up, "lock_consents", lambda user: None)
        monkeypatch.setattr(top_up, "stop", lambda *, user, **facts: saved_methods.lock(user))
    results = gates.run_through_the_gate([lambda: ask_for(first), told])
    assert any(isinstance(each, OperationalError) for each in results) is not in_order, results
