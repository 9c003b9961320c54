"""PayPal ends a dispute with less than was asked for: a seller offered a part, and the buyer took it."""

import itertools
from json import dumps
from typing import Any

import pytest
from django.utils import timezone

from billing import inbox, refund_sending
from billing.gateways.base import Letter
from billing.gateways.paypal import letters
from billing.models import Dispute, Payment
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import ask_for
from billing.tests.test_reversals import DISPUTE, PayPalLike, bought, captured, is_over, paypal, standing
from billing.tests.test_sale_payments import TICKET, checkout, seller
from credits import usage
from events.models import Event
from ledger.tests.books import on
from wallets import sales
from wallets.models import WhenWithdrawn
from wallets.tests import people
from wallets.tests.people import available, make_rule, make_type, parts

__all__ = ["paypal"]
pytestmark = pytest.mark.django_db
NOW = timezone.now().isoformat()


def euros(value: str) -> dict[str, str]:
    return {"currency_code": "EUR", "value": value}


def hear(kind: str, *, asked: str = "9.99", dispute: str = "PP-D-1", **outcome: Any) -> None:
    resource = DISPUTE | {"dispute_id": dispute, "dispute_amount": euros(asked), "dispute_outcome": outcome or None}
    event = {"id": f"WH-{dispute}-{kind}", "event_type": f"CUSTOMER.DISPUTE.{kind}", "create_time": NOW}
    body = dumps(event | {"resource": resource}).encode()
    inbox.store("paypal", letters.hints(Letter(method="POST", headers={}, body=body)))
    inbox.drain()


def opens(**facts: Any) -> None:
    hear("CREATED", **facts)


def ends(value: str = "4.00", *, code: str = "RESOLVED_BUYER_FAVOUR", **facts: Any) -> None:
    hear("RESOLVED", outcome_code=code, amount_refunded=euros(value), **facts)


def lost() -> list[int]:
    return list(Dispute.objects.filter(state="lost").order_by("id").values_list("amount_minor", flat=True))


@pytest.mark.parametrize("code", ["RESOLVED_BUYER_FAVOUR", "ACCEPTED"])
@pytest.mark.parametrize("order", list(itertools.permutations([opens, ends])), ids=["opened", "ended"])
def test_what_a_buyer_agreed_to_is_lost_and_no_more(paypal, order, code) -> None:
    payment = bought(paypal)
    for each in order:
        each(code=code) if each is ends else each()
    part = 275 * 400 // 999
    assert (lost(), standing(payment)) == ([400], (275 - part, -400, -599, 999))
    assert Event.objects.get(type="dispute.lost").data["amount"] == 400
    assert is_over()


def test_end_that_is_told_twice_takes_its_part_once(paypal) -> None:
    payment = bought(paypal)
    opens()
    ends()
    hear("UPDATED", outcome_code="RESOLVED_BUYER_FAVOUR", amount_refunded=euros("9.99"))
    hear("RESOLVED", asked="5.00", outcome_code="ACCEPTED", amount_refunded=euros("5.00"))
    assert (lost(), on("loss:EUR")) == ([400], -400)
    assert standing(payment)[0] == 275 - 275 * 400 // 999
    assert is_over()


@pytest.mark.parametrize("outcome", [
    {"amount_refunded": None},
    {"amount_refunded": euros("0.00")},
    {"amount_refunded": euros("12.00")},
    {"amount_refunded": {"currency_code": "USD", "value": "4.00"}},
    {"amount_refunded": {"currency_code": "EUR", "value": "4.001"}},
    {"amount_refunded": euros("4.00"), "outcome_code": "RESOLVED_WITH_PAYOUT"},
], ids=["unsaid", "nothing", "more", "other money", "unreadable", "PayPal's own money"])  # fmt: skip
@pytest.mark.parametrize("is_known", [True, False])
def test_all_that_was_disputed_is_lost_where_no_part_is_told(paypal, is_known, outcome) -> None:
    payment = bought(paypal)
    if is_known:
        opens()
    hear("RESOLVED", **{"outcome_code": "RESOLVED_BUYER_FAVOUR"} | outcome)
    assert (lost(), standing(payment)) == ([999], (0, -999, 0, 999))
    assert is_over()


def test_won_dispute_keeps_the_amount_that_was_asked_for(paypal) -> None:
    payment = bought(paypal)
    opens()
    ends(code="RESOLVED_SELLER_FAVOUR")
    assert (Dispute.objects.get().amount_minor, standing(payment)) == (999, (275, 0, -999, 999))
    assert is_over()


def test_credits_that_were_spent_are_missing_at_what_is_left(paypal) -> None:
    payment = bought(paypal)
    usage.spend(user=payment.user, amount=200, key="before")
    opens()
    ends()
    assert (lost(), standing(payment)) == ([400], (0, -400, -599, 999))
    assert is_over()


def test_second_dispute_takes_its_part_beside_the_first(paypal) -> None:
    payment = bought(paypal)
    opens(asked="6.00")
    opens(asked="3.00", dispute="PP-D-2")
    ends("1.00", asked="6.00")
    assert (lost(), shop.credits_of(payment.user)) == ([100], 0)  # the other one is open still
    ends("2.00", asked="3.00", dispute="PP-D-2")
    assert (lost(), on("loss:EUR")) == ([100, 200], -300)
    assert shop.credits_of(payment.user) == 275 - 275 * 100 // 999 - 275 * 200 // 999
    assert is_over()


# ---------------------------------------------------------------- what sellers sold


@pytest.fixture
def rules() -> None:
    make_type()
    make_rule(basis_points=1_000, when_withdrawn=WhenWithdrawn.DEBT, debt_limit_minor=5_000, currency="EUR")


def sold(paypal: PayPalLike, *lines: dict[str, Any]) -> Payment:
    answer = checkout(sales=list(lines or [TICKET]), gateways=["paypal"])
    payment = Payment.objects.get(pk=answer.json()["payment"]["id"])
    paypal.pays(payment.attempts.get().reference)
    return captured(shop.told(payment))


@pytest.mark.parametrize("order", list(itertools.permutations([opens, ends])), ids=["opened", "ended"])
def test_seller_keeps_what_the_buyer_did_not_get(paypal, rules, order) -> None:
    payment = sold(paypal)
    for each in order:
        each("10.00", asked="40.00") if each is ends else each(asked="40.00")
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (2_700, 300, 0)
    assert on("gateway:paypal:EUR") == -3_000
    assert is_over()


def test_several_sellers_bear_the_part_by_their_shares(paypal, rules) -> None:
    payment = sold(paypal, TICKET, TICKET | {"seller": "organizer-2", "amount": 1_000})
    opens(asked="50.00")
    ends("10.00", asked="50.00")
    assert [parts(seller(payment, number))["pending"] for number in (0, 1)] == [3_600 - 720, 900 - 180]
    assert (on("commission:EUR"), on("loss:EUR")) == (400, 0)
    assert is_over()


@pytest.mark.parametrize("is_first", [True, False])
def test_what_comes_free_above_the_part_is_another_disputes_first(paypal, rules, is_first) -> None:
    """The first has frozen all of it, so that the second finds nothing."""
    payment = sold(paypal)
    opens(asked="40.00")
    opens(asked="30.00", dispute="PP-D-2")
    endings = [("10.00", "40.00", "PP-D-1"), ("30.00", "30.00", "PP-D-2")]
    for value, asked, dispute in endings if is_first else reversed(endings):
        ends(value, asked=asked, dispute=dispute)
        assert available(seller(payment)) == 0
    assert (parts(seller(payment))["pending"], on("commission:EUR"), on("loss:EUR")) == (0, 0, 0)
    assert on("gateway:paypal:EUR") == 0
    assert is_over()


def test_what_comes_free_above_the_part_repays_what_the_seller_owes(paypal, rules) -> None:
    payment, other = sold(paypal), sold(paypal)
    other.attempts.update(gateway_ids={"capture": "C2"})
    sales.release_due(people.FAR_AWAY)
    opens(asked="40.00")
    people.withdraw(seller(payment), 3_600)
    made = ask_for(other, policy=RefundPolicy.FULL_WITH_DEBT)
    refund_sending.send(made)
    assert (available(seller(payment)), parts(seller(payment))["debt"]) == (0, -3_600)
    ends("10.00", asked="40.00")
    assert (available(seller(payment)), parts(seller(payment))["debt"], on("loss:EUR")) == (0, -900, 0)
    assert is_over()
