"""A pack is paid with a saved card, by `POST checkouts`: what is asked of the gateway, and what is refused. The journey
plays it at Stripe."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from billing import models, saved_methods
from billing.gateways.base import PaymentRef, PaymentResult, PaymentState, SavedMethod
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.models import Attempt, GatewaySetting, Payment, Redemption
from billing.models.payments import AttemptState
from billing.tests import couponing, shop
from billing.tests.fakes import ChargingGateway, FakeGateway, StandIn
from events.models import Event
from ledger import checks
from rest.tests.callers import customer, post, service

pytestmark = pytest.mark.django_db
BROKE = Declined("no", gateway="stripe", category=FailureCategory.INSUFFICIENT_FUNDS, code="insufficient_funds")
OWNER = Declined("ask", gateway="stripe", category=FailureCategory.AUTHENTICATION_REQUIRED)


def card(user: User) -> int:
    kept = saved_methods.latest(user)
    assert kept is not None
    return kept.pk


def buy(user: User, key: str | None = "", **body: Any) -> Any:
    wish = {"pack": "medium", "currency": "EUR", "payment_method": card(user)} | body
    return post("checkouts", customer(user), {name: value for name, value in wish.items() if value is not None}, key)


def last() -> Payment:
    return Payment.objects.latest("id")


def test_saved_card_pays_at_once_while_its_owner_is_there(ann: User, charging: ChargingGateway, settings: Any) -> None:
    settings.CHECKOUT_RETURN_HOSTS = ["testserver"]
    answer = buy(ann, reference="order 7", success_url="http://testserver/thanks")
    told = answer.json()
    assert (answer.status_code, told["payment"]["status"], told["next_action"]) == (201, "succeeded", {"type": "none"})
    assert told["routing"]["possible"] == ["stripe"]
    [request] = charging.charged
    assert (request.method, request.buyer.gateway_customer, str(request.amount)) == ("pm_1", "cus_1", "9.99 EUR")
    assert request.reference == last().attempts.get().reference
    assert request.return_url == f"http://testserver/thanks?payment={last().pk}"
    assert (shop.credits_of(ann), last().saves_method) == (275, False)
    assert checks.faults() == {}


def test_card_that_was_named_is_charged_and_not_the_last_one(ann: User, charging: ChargingGateway) -> None:
    first = card(ann)
    saved_methods.remember(user=ann, gateway="stripe", method=SavedMethod(id="pm_2"))
    assert buy(ann, payment_method=first).status_code == 201
    assert [each.method for each in charging.charged] == ["pm_1"]


def test_same_key_is_charged_once(ann: User, charging: ChargingGateway) -> None:
    first, second = buy(ann, "k-1"), buy(ann, "k-1")
    assert (second.status_code, second.content) == (201, first.content)
    assert len(charging.charged) == 1


@pytest.mark.parametrize(("refusal", "reason"), [(BROKE, "insufficient_funds"), (OWNER, "authentication_required")])
def test_declined_card_is_a_refusal_that_says_why_and_the_same_key_does_not_try_it_again(
    ann: User, charging: ChargingGateway, refusal: Declined, reason: str
) -> None:
    charging.refuses_charge = refusal
    answer = buy(ann, "k-1")
    told = answer.json()
    assert (answer.status_code, told["code"], told["reason"]) == (402, "method_refused", reason)
    assert (told["gateway"], told["payment"]) == ("stripe", str(last().pk))
    assert "without payment_method" in told["detail"]
    assert ("its owner" in told["detail"]) is (refusal is OWNER)
    assert Event.objects.get(type="payment.failed").data["reason"] == reason
    charging.refuses_charge = None
    again = buy(ann, "k-1").json()
    assert (again["payment"]["id"], again["payment"]["status"]) == (told["payment"], "failed")
    assert (len(charging.charged), shop.credits_of(ann)) == (1, 0)
    assert checks.faults() == {}


def test_declined_card_gives_the_coupon_back(ann: User, charging: ChargingGateway) -> None:
    couponing.make_coupon(code="SPRING")
    charging.refuses_charge = BROKE
    assert buy(ann, coupon="SPRING").status_code == 402
    assert not Redemption.objects.filter(counts=True).exists()


def test_bank_that_asks_for_the_buyer_is_the_next_action(ann: User, charging: ChargingGateway) -> None:
    charging.answers = PaymentState.REQUIRES_ACTION
    told = buy(ann).json()
    assert (told["payment"]["status"], told["next_action"]["type"]) == ("pending", "redirect")
    charging.pays(last().attempts.get().reference)
    assert (shop.told(last()).status, shop.credits_of(ann)) == ("succeeded", 275)


class Pageless(ChargingGateway):
    """Its bank asks, and it has no page on which to do that."""

    def _answer(self, reference: str) -> PaymentResult:
        told = super()._answer(reference)
        return PaymentResult(state=told.state, ids=told.ids, amount=told.amount)


class Stubborn(Pageless):
    def cancel_checkout(self, payment: PaymentRef) -> PaymentResult:
        raise Declined("never", gateway=self.name)


def test_what_has_no_page_for_the_buyer_is_taken_back_and_refused(ann: User, stand_in: StandIn) -> None:
    stand_in(Pageless("stripe")).answers = PaymentState.REQUIRES_ACTION
    answer = buy(ann)
    told = answer.json()
    assert (answer.status_code, told["code"], told["reason"]) == (402, "method_refused", "authentication_required")
    assert (last().status, last().attempts.get().state) == ("cancelled", AttemptState.CANCELLED)


def test_what_has_no_page_and_is_not_taken_back_stands_until_the_gateway_says(ann: User, stand_in: StandIn) -> None:
    stand_in(Stubborn("stripe")).answers = PaymentState.REQUIRES_ACTION
    answer = buy(ann)
    assert (answer.status_code, answer.json()["next_action"]) == (201, {"type": "none"})
    attempt = last().attempts.get()
    assert (last().status, attempt.state) == ("pending", AttemptState.REQUIRES_ACTION)
    assert attempt.next_ask_at is not None


def test_lost_answer_is_pending_and_nothing_is_charged_beside_it(ann: User, charging: ChargingGateway) -> None:
    charging.refuses_charge = Uncertain("lost", gateway="stripe")
    told = buy(ann).json()
    assert (told["payment"]["status"], told["next_action"]) == ("pending", {"type": "none"})
    attempt = last().attempts.get()
    assert (attempt.state, attempt.next_ask_at is not None) == (AttemptState.UNKNOWN, True)
    charging.refuses_charge = None
    beside = buy(ann)
    assert (beside.status_code, beside.json()["code"]) == (409, "attempt_live")
    assert len(charging.charged) == 1


def test_charge_whose_process_died_is_not_followed_by_another(ann: User, charging: ChargingGateway) -> None:
    buy(ann)
    Attempt.objects.filter(pk=last().attempts.get().pk).update(
        state=AttemptState.CREATED, ended_at=None, next_ask_at=timezone.now()
    )
    Payment.objects.filter(pk=last().pk).update(status="pending", ended_at=None, delivered_at=None)
    assert buy(ann).json()["code"] == "attempt_live"
    assert len(charging.charged) == 1


def test_gateway_that_is_down_may_be_asked_again_with_the_same_key(ann: User, charging: ChargingGateway) -> None:
    charging.refuses_charge = Unavailable("down", gateway="stripe", category=FailureCategory.CONFIGURATION)
    answer = buy(ann, "k-1")
    assert (answer.status_code, answer.json()["code"], last().status) == (503, "gateways_down", "failed")
    charging.refuses_charge = None
    assert buy(ann, "k-1").json()["payment"]["status"] == "succeeded"


def test_gateway_that_is_switched_off_is_not_asked(ann: User, charging: ChargingGateway) -> None:
    GatewaySetting.objects.update_or_create(name="stripe", defaults={"is_enabled": False})
    answer = buy(ann)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_gateway_takes_it")
    assert charging.charged == []


def test_gateway_that_charges_no_cards_any_more_is_not_asked(ann: User, stand_in: StandIn) -> None:
    stand_in(FakeGateway("stripe"))
    reasons = {each["gateway"]: each["rule"] for each in buy(ann).json()["reasons"]}
    assert (reasons["stripe"], Payment.objects.count()) == ("capability", 1)


def test_card_of_somebody_else_and_one_that_was_removed_are_unknown(ann: User, charging: ChargingGateway) -> None:
    number = card(ann)
    answer = buy_as(shop.make_user(), number)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_method")
    models.SavedMethod.objects.update(removed_at=timezone.now())
    assert buy_as(ann, number).json()["code"] == "unknown_method"
    assert buy_as(ann, 10**30).status_code == 400
    assert (charging.charged, Payment.objects.count()) == ([], 1)


def buy_as(user: User, number: int) -> Any:
    return post("checkouts", customer(user), {"pack": "medium", "currency": "EUR", "payment_method": number})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"flow": "redirect"}, "flow"),
        ({"gateways": ["stripe"]}, "gateways"),
        ({"phone": "+237670000001"}, "phone"),
        ({"save_method": False}, "save_method"),
        ({"pack": None, "plan": "premium"}, "payment_method"),
        ({"pack": None, "amount": 500}, "payment_method"),
        ({"payment_method": "1"}, "payment_method"),
    ],
)
def test_what_does_not_go_with_a_saved_card_is_refused(
    ann: User, charging: ChargingGateway, body: dict[str, Any], field: str
) -> None:
    answer = buy(ann, **body)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field])
    assert (charging.charged, Payment.objects.count()) == ([], 1)


def test_service_buys_with_the_card_of_its_customer_and_with_no_other(ann: User, charging: ChargingGateway) -> None:
    wish, other = {"pack": "medium", "currency": "EUR", "payment_method": card(ann)}, shop.make_user()
    may = "start_checkout"
    assert post("checkouts", service(may, acts_for=other), wish).json()["code"] == "unknown_method"
    assert post("checkouts", service(may, acts_for=ann), wish).json()["payment"]["status"] == "succeeded"
    assert len(charging.charged) == 1


def test_preview_says_whether_the_card_can_be_charged_and_charges_nothing(ann: User, charging: ChargingGateway) -> None:
    wish = {"pack": "medium", "currency": "EUR", "payment_method": card(ann)}
    assert post("checkouts/preview", customer(ann), wish, None).json()["routing"]["possible"] == ["stripe"]
    assert (charging.charged, Payment.objects.count()) == ([], 1)
