"""Somebody refunds at PayPal while nobody knows whether our own refund has gone: the letter about it waits for that."""

from datetime import timedelta
from json import dumps

import pytest
from django.conf import settings
from django.utils import timezone

from billing import inbox, refund_sending, refunds
from billing.gateways.base import Letter, RefundRef, RefundRequest, RefundResult, RefundState
from billing.gateways.errors import Declined, FailureCategory, Uncertain
from billing.gateways.paypal import letters
from billing.models import GatewayLetter, Payment, Refund
from billing.tests.fakes import StandIn
from billing.tests.test_reversals import AMOUNT, UP, PayPalLike, bought, standing
from credits import balances
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db
KINDS = pytest.mark.parametrize("kind", ["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"])
NOW = timezone.now()
ALL_TRIES = len(settings.INBOX_RETRY_SECONDS) + 1


class Dashboard(PayPalLike):
    """It knows the refund R1 that was made in its dashboard, and never got ours."""

    def send_refund(self, request: RefundRequest) -> RefundResult:
        raise self.refuses_refund or Uncertain("the request was lost", gateway=self.name)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        known = refund.ids.get("refund") == "R1"
        return super().fetch_refund(refund) if known else RefundResult(state=RefundState.NOT_FOUND)


@pytest.fixture
def paypal(stand_in: StandIn) -> Dashboard:
    return stand_in(Dashboard("paypal"))


def asked_for(payment: Payment, minor: int = 999) -> Refund:
    """Its request was lost on the way, and nobody here knows."""
    made = refunds.request(payment=payment, amount=Money(minor, "EUR"), reason="not delivered")
    return refund_sending.send(made)


def never_arrived(ours: Refund) -> None:
    Refund.objects.filter(pk=ours.pk).update(sent_at=timezone.now() - timedelta(minutes=5))
    for _ in range(3):
        refund_sending.ask(ours)


def sent_again(paypal: Dashboard, ours: Refund) -> None:
    full = "CAPTURE_FULLY_REFUNDED"
    paypal.refuses_refund = Declined(full, gateway="paypal", category=FailureCategory.INVALID_REQUEST)
    refund_sending.send(ours)


def write(kind: str) -> None:
    resource = {"id": "R1", "amount": AMOUNT, "links": UP}
    event = {"id": "WH-1", "event_type": kind, "create_time": NOW.isoformat(), "resource": resource}
    inbox.store("paypal", letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode())))


def read(times: int = 1) -> str:
    """So many times, each as if its pause were over; how it stands then."""
    for _ in range(times):
        GatewayLetter.objects.update(next_try_at=timezone.now())
        inbox.drain()
    return GatewayLetter.objects.get().state


def rows() -> list[tuple[str, str, int]]:
    return list(Refund.objects.order_by("id").values_list("origin", "status", "amount_minor"))


@KINDS
def test_letter_waits_until_ours_has_ended_and_is_booked_then(paypal, kind) -> None:
    payment = bought(paypal)
    ours = asked_for(payment)
    write(kind)
    assert read(4) == "pending"  # longer than a letter about nothing that we know
    never_arrived(ours)
    assert read() == "pending"  # what ours claims is not there for another
    sent_again(paypal, ours)
    assert read() == "done"
    assert rows() == [("asked", "failed", 999), ("gateway", "succeeded", 999)]
    assert (standing(payment), balances.of(payment.user).owed) == ((0, 0, 0, 0), 0)
    assert inbox.replay(GatewayLetter.objects.get())
    assert read() == "done"
    assert (len(rows()), standing(payment)) == (2, (0, 0, 0, 0))
    assert checks.faults() == {}


@KINDS
def test_letter_of_a_part_waits_too_and_is_booked_beside_ours(paypal, kind, monkeypatch) -> None:
    monkeypatch.setitem(AMOUNT, "value", "4.00")
    payment = bought(paypal)
    ours = asked_for(payment, 400)
    write(kind)
    assert read(4) == "pending"
    never_arrived(ours)
    assert read() == "done"
    assert rows() == [("asked", "requested", 400), ("gateway", "succeeded", 400)]
    assert standing(payment) == (275 - 275 * 800 // 999, 0, -599, 599)
    assert checks.faults() == {}


@KINDS
def test_letter_about_ours_is_no_second_refund(paypal, kind) -> None:
    payment = bought(paypal)
    ours = asked_for(payment)
    write(kind)
    assert read(4) == "pending"
    refunds.note(refund=ours, result=RefundResult(state=RefundState.SUCCEEDED, ids={"refund": "R1"}))
    assert read() == "done"
    assert (rows(), standing(payment)) == ([("asked", "succeeded", 999)], (0, 0, 0, 0))
    assert checks.faults() == {}


@KINDS
def test_letter_is_for_people_when_nobody_learns_what_became_of_ours(paypal, kind) -> None:
    payment = bought(paypal)
    asked_for(payment)
    write(kind)
    assert (read(ALL_TRIES - 1), read()) == ("pending", "dead")
    assert GatewayLetter.objects.get().error == "It may be the refund that is being sent."
    assert rows() == [("asked", "unknown", 999)]
    assert standing(payment) == (0, 0, -999, 999)
    assert checks.faults() == {}


@pytest.mark.parametrize(
    "facts", [{"trust": "unsigned"}, {"amount_minor": None, "currency": ""}, {"ids": {"capture": "C1"}}]
)
def test_letter_that_could_not_be_booked_waits_for_nothing(paypal, facts) -> None:
    asked_for(bought(paypal))
    write("PAYMENT.CAPTURE.REFUNDED")
    GatewayLetter.objects.update(**facts)
    assert (read(3), read()) == ("pending", "unknown")
    assert GatewayLetter.objects.get().error == "It names no refund of ours, and nobody has signed for it."
