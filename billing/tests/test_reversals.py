"""PayPal takes money back by itself, and a dispute stands for it: whichever is heard of first, it is lost once."""

import itertools
from collections.abc import Mapping
from datetime import timedelta
from json import dumps
from typing import Any

import pytest
from django.utils import timezone

from billing import inbox, reversals
from billing.gateways.base import Letter, RefundRef, RefundResult, RefundState
from billing.gateways.errors import Unavailable
from billing.gateways.paypal import letters
from billing.gateways.subscribing import DisputeTold
from billing.models import Case, Dispute, GatewayLetter, Payment, Refund
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.fakes import RefundingGateway, StandIn
from billing.tests.refunding import ask_for, say
from billing.tests.test_sale_payments import TICKET, checkout, seller
from credits import balances, usage
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on
from wallets.tests.people import make_rule, make_type, parts

pytestmark = pytest.mark.django_db
AMOUNT = {"currency_code": "EUR", "value": "9.99"}
UP = [{"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/C1"}]
DISPUTE = {"dispute_id": "PP-D-1", "disputed_transactions": [{"seller_transaction_id": "C1"}]}
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "reversed": ("PAYMENT.CAPTURE.REVERSED", {"id": "R1", "amount": AMOUNT, "links": UP}),
    "disputed": ("CUSTOMER.DISPUTE.CREATED", {}),
    "lost": ("CUSTOMER.DISPUTE.RESOLVED", {"dispute_outcome": {"outcome_code": "RESOLVED_BUYER_FAVOUR"}}),
    "won": ("CUSTOMER.DISPUTE.RESOLVED", {"dispute_outcome": {"outcome_code": "RESOLVED_SELLER_FAVOUR"}}),
}


class PayPalLike(RefundingGateway):
    """Its letters are PayPal's own; asked about what was reversed, it knows it as a refund that has arrived."""

    is_away = False

    def dispute_told(self, *, kind: str, event: Mapping[str, object]) -> DisputeTold:
        return letters.dispute_told(kind, event)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        if self.is_away:
            raise Unavailable("down", gateway=self.name)
        return RefundResult(state=RefundState.SUCCEEDED, ids={"refund": "R1"}, amount=refund.amount)


@pytest.fixture
def paypal(stand_in: StandIn) -> PayPalLike:
    return stand_in(PayPalLike("paypal"))


def bought(paypal: PayPalLike) -> Payment:
    return captured(shop.paid(paypal))


def captured(payment: Payment) -> Payment:
    attempt = payment.attempts.get()
    payment.attempts.update(gateway_ids=attempt.gateway_ids | {"capture": "C1"})
    return payment


def hear(*names: str, value: str = "9.99") -> None:
    for name in names:
        kind, said = EVENTS[name]
        amount = {"currency_code": "EUR", "value": value}
        resource = said | ({"amount": amount} if name == "reversed" else DISPUTE | {"dispute_amount": amount})
        event = {"id": f"WH-{name}", "event_type": kind, "resource": resource, "create_time": NOW}
        inbox.store("paypal", letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode())))
        inbox.drain()


NOW = timezone.now().isoformat()


def standing(payment: Payment) -> tuple[int, ...]:
    accounts = ("loss:EUR", "gateway:paypal:EUR", "revenue:packs:EUR")
    return shop.credits_of(payment.user), *map(on, accounts)


def is_over() -> bool:
    return set(GatewayLetter.objects.values_list("state", flat=True)) == {"done"} and checks.faults() == {}


def orders(*names: str) -> Any:
    return pytest.mark.parametrize("order", list(itertools.permutations(names)), ids="-".join)


@pytest.mark.parametrize("spent", [0, 200])
@orders("reversed", "disputed", "lost")
def test_money_that_a_lost_dispute_took_is_lost_once(paypal, order, spent) -> None:
    payment = bought(paypal)
    if spent:
        usage.spend(user=payment.user, amount=spent, key="before")
    hear(*order)
    assert standing(payment) == (0, -999, 0, 999)
    assert [each.state for each in Dispute.objects.all()] == ["lost"]
    assert not Refund.objects.counted().exists()
    assert not Case.objects.open().exclude(kind="dispute").exists()
    assert Event.objects.filter(type="dispute.lost").count() == 1
    assert is_over()


@orders("reversed", "disputed", "won")
def test_money_that_a_won_dispute_brought_back_is_ours(paypal, order) -> None:
    payment = bought(paypal)
    hear(*order)
    assert standing(payment) == (275, 0, -999, 999)
    assert not Refund.objects.counted().exists()
    assert is_over()


def test_what_is_taken_back_without_a_dispute_is_booked_like_a_refund(paypal) -> None:
    payment = bought(paypal)
    hear("reversed")
    assert (Refund.objects.get().status, standing(payment)) == ("succeeded", (0, 0, 0, 0))
    assert is_over()


def test_credits_that_came_back_are_frozen_with_the_rest_and_free_again(paypal) -> None:
    payment = bought(paypal)
    hear("reversed", "disputed", value="4.00")
    assert shop.credits_of(payment.user) == 0
    hear("won", value="4.00")
    assert shop.credits_of(payment.user) == 275
    assert is_over()


def test_reversal_that_is_heard_again_after_its_dispute_moves_nothing(paypal) -> None:
    payment = bought(paypal)
    paypal.is_away = True
    hear("reversed")  # written down, and PayPal could not be asked
    assert Refund.objects.get().status == "pending"
    hear("disputed")
    assert Refund.objects.get().status == "failed"
    paypal.is_away = False
    for then in ("lost", "reversed"):
        hear(then)
        inbox.drain(timezone.now() + timedelta(hours=9))
        assert standing(payment) == (0, -999, 0, 999)
    told = say(Refund.objects.get(), RefundState.SUCCEEDED)
    assert (told.status, standing(payment)) == ("failed", (0, -999, 0, 999))
    assert is_over()


def test_dispute_that_is_opened_between_two_looks_stands_for_it(paypal) -> None:
    payment = bought(paypal)
    attempt = payment.attempts.get()
    hear("disputed")
    ids, now = {"refund": "R1"}, timezone.now()
    assert reversals.book(attempt=attempt, amount=Money(999, "EUR"), ids=ids, at=now) is None
    assert not Refund.objects.exists()


@orders("reversed", "disputed", "lost")
def test_what_a_seller_sold_is_taken_at_its_split_once(paypal, order) -> None:
    make_type()
    make_rule(basis_points=1_000)
    answer = checkout(sale=TICKET, gateways=["paypal"])
    payment = Payment.objects.get(pk=answer.json()["payment"]["id"])
    paypal.pays(payment.attempts.get().reference)
    captured(shop.told(payment))
    hear(*order, value="40.00")
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (0, 0, 0)
    assert on("gateway:paypal:EUR") == 0
    assert is_over()


def test_credits_that_a_reversal_held_are_the_disputes_before_they_repay_a_debt(paypal) -> None:
    spent = shop.paid(paypal)
    usage.spend(user=spent.user, amount=275, key="all of it")
    captured(shop.paid(paypal, spent.user))
    paypal.is_away = True
    hear("reversed")
    say(ask_for(spent, policy=RefundPolicy.FULL_WITH_DEBT), RefundState.SUCCEEDED)
    assert balances.of(spent.user).owed == 275
    hear("disputed", "lost")
    assert (shop.credits_of(spent.user), balances.of(spent.user).owed) == (0, 275)
    assert checks.faults() == {}
