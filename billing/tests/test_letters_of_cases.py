"""What operators are told of a case is true of this one: which money, how much of it, and what is to be done."""

from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.utils import timezone

from billing import asking, gateway_refunds, refund_sending, refunds
from billing.gateways import registry
from billing.gateways.base import RefundState
from billing.models import Attempt, Refund
from billing.models.refunds import RefundStatus
from billing.tests import shop
from events import letters, mail
from events.models import Kind, Message
from ledger.money import Money

pytestmark = pytest.mark.django_db


def told() -> str:
    """The one letter to the operators, with its subject."""
    assert Message.objects.filter(kind=Kind.CASE).count() == 1
    mail.send_due()
    [sent] = [each for each in outbox.outbox if "Open the case" in each.body]
    return f"{sent.subject}\n{sent.body}"


def part_of(gateway, minor: int, **wishes) -> Refund:
    payment = shop.paid(gateway, **wishes)
    return refunds.request(payment=payment, amount=Money(minor, payment.currency), reason="late")


def test_refund_by_hand_names_what_is_to_be_sent_and_not_what_was_paid(gateways) -> None:
    refund = part_of(gateways["cinetpay"], 650, currency="XOF")
    said = told()
    assert said.startswith("A refund is to be sent by hand")
    assert "Amount: F\u202fCFA\xa0650\n" in said
    assert "Of a payment of: F\u202fCFA\xa06,500\n" in said
    assert f"The refund: {refund.pk}" in said


def test_refund_that_failed_names_its_own_amount(stripe) -> None:
    stripe.refund_state = RefundState.FAILED
    part_of(stripe, 100)
    refund_sending.work_through()
    said = told()
    assert said.startswith("A refund needs attention")
    assert "Amount: €1.00\n" in said


def test_refund_of_which_nothing_is_known_is_not_called_a_payment(stripe, monkeypatch) -> None:
    part_of(stripe, 100)
    Refund.objects.update(status=RefundStatus.SENDING, sent_at=timezone.now())
    monkeypatch.delitem(registry.BUILDERS, "stripe")
    refund_sending.work_through(timezone.now() + timedelta(days=1))
    said = told()
    assert said.startswith("A gateway does not say whether a refund was sent")
    assert "Amount: €1.00\n" in said
    assert "Reason: stripe is not one of our gateways any more" in said
    assert "a whole day" not in said


def test_payment_of_which_nothing_is_known_names_what_was_asked_for(stripe, settings) -> None:
    stripe.loses = True
    shop.buy(gateways=["stripe"])
    stripe.silent = True
    asking.ask_due(timezone.now() + timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS + 60))
    said = told()
    assert said.startswith("A gateway does not say whether it was paid")
    assert "Amount: €9.99\n" in said
    assert "Refund" not in said


def test_quarantine_names_what_came_beside_what_was_asked_for(stripe) -> None:
    payment = shop.buy(gateways=["stripe"])
    stripe.pays(amount=Money(1_998, "EUR"))
    shop.told(payment)
    said = told()
    assert said.startswith("In quarantine")
    assert "Amount: €19.98\nAmount asked for: €9.99\n" in said


def paid_twice(gateways) -> Attempt:
    """Both attempts of one payment are paid, the first one last."""
    payment = shop.buy(gateways=["stripe"])
    first = payment.attempts.get()
    payment.attempts.update(state="expired")
    second = Attempt.objects.create(payment=payment, gateway="stripe", state="pending")
    for attempt in (second, first):
        gateways["stripe"].sold.setdefault(attempt.reference, gateways["stripe"].sold[first.reference])
        gateways["stripe"].pays(attempt.reference)
        asking.ask(Attempt.objects.select_related("payment").get(pk=attempt.pk))
    return Attempt.objects.get(pk=first.pk)


def test_what_was_paid_twice_stays_because_the_shop_wants_it_so(gateways, settings) -> None:
    settings.REFUND_SURPLUS = False
    refund_sending.return_surplus(paid_twice(gateways))
    said = told()
    assert said.startswith("Paid twice: to be given back by hand")
    assert "this gateway cannot send money back by itself" not in said
    assert "or the shop has switched that off" in said
    assert "Amount: €9.99\n" in said


def test_second_refund_made_at_the_gateway_is_not_to_be_made_once_more(gateways) -> None:
    twice = paid_twice(gateways)
    refund_sending.return_surplus(twice)
    gateway_refunds.book(attempt=twice, amount=Money(500, "EUR"), ids={"refund": "re_theirs"})
    said = told()
    assert said.startswith("A second refund was made at a gateway")
    assert "by hand" not in said
    assert "Amount: €5.00\n" in said


@pytest.mark.parametrize(
    ("facts", "subject", "false"),
    [
        ({"kind": "mismatch", "purpose": "renew"}, "Paid for a plan that has ended or changed", "was delivered"),
        (
            {"kind": "subscription", "instruction": "pause"},
            "A gateway has not done what it was told of a subscription",
            "It would be over here",
        ),
    ],
)
def test_letters_of_plans_say_what_is_wrong_with_this_one(facts, subject, false) -> None:
    data = {"case": "1", "customer": "ada", "paid": {"amount": 999, "currency": "EUR"}, **facts}
    letter = letters.render(kind=Kind.CASE, about="", data=data, contact=letters.NOBODY, locale="en")
    assert letter.subject == subject
    assert false not in letter.text
    assert "asked for" not in letter.text
