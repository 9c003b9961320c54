"""A payment can be followed through the log: what is there of it, and what is not."""

from typing import Any

import pytest
from django.db import transaction

from billing import asking, errors, payments, refund_sending, refunds
from billing.gateways.base import PaymentResult, PaymentState
from billing.gateways.errors import Declined, FailureCategory
from billing.models import Customer, Payment
from billing.tests import shop
from ledger.money import Money

pytestmark = pytest.mark.django_db
NAME = "billing.payment_log"
USUAL = frozenset({"payment", "amount", "currency", "gateway", "attempt", "user"})


@pytest.fixture
def lines(caplog, django_capture_on_commit_callbacks):
    """What the log says of what is done and committed meanwhile."""

    def run(act: Any, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
        caplog.clear()
        with caplog.at_level("INFO", logger=NAME), django_capture_on_commit_callbacks(execute=True):
            act(*arguments, **named)
        kept = USUAL | {"category", "code", "refund"}
        records = [record for record in caplog.records if record.name == NAME]
        return [
            {"event": record.message} | {key: value for key, value in record.__dict__.items() if key in kept}
            for record in records
        ]

    return run


def test_payment_is_followed_from_its_gateway_to_its_end(stripe, lines) -> None:
    user = shop.make_user()
    [begun] = lines(shop.buy, user)
    payment = Payment.objects.get()
    attempt = payment.attempts.get()
    said = {
        "payment": str(payment.pk),
        "amount": 999,
        "currency": "EUR",
        "gateway": "stripe",
        "attempt": str(attempt.pk),
        "user": user.pk,
    }
    assert begun == {"event": "payment.begun", **said}
    stripe.pays()
    assert lines(shop.told, payment) == [{"event": "payment.paid", **said}]
    assert lines(shop.told, payment) == []  # heard twice


def test_failed_payment_says_why_and_where(stripe, lines) -> None:
    stripe.refuses = Declined("Ann's card", gateway="stripe", category=FailureCategory.RISK, code="fraud")

    def try_to_buy() -> None:
        with pytest.raises(errors.NoGatewayTakesIt):
            shop.buy()

    begun, failed = lines(try_to_buy)
    assert (begun["event"], failed["event"]) == ("payment.begun", "payment.failed")
    assert (failed["gateway"], failed["category"], failed["code"]) == ("stripe", "risk", "fraud")


def test_cancelled_payment_is_called_so(stripe, lines) -> None:
    payment = shop.buy()
    assert [line["event"] for line in lines(asking.cancel, payment)] == ["payment.cancelled"]


def test_refund_is_told_with_what_went_back(stripe, lines) -> None:
    payment = shop.paid(stripe)
    refund = refunds.request(payment=payment, amount=Money(100, "EUR"), reason="not delivered")
    [line] = lines(refund_sending.work_through)
    assert (line["event"], line["amount"], line["refund"], line["payment"], line["gateway"], line["user"]) == (
        "payment.refunded",
        100,
        str(refund.pk),
        str(payment.pk),
        "stripe",
        payment.user_id,
    )


def test_money_that_is_not_what_was_asked_for_is_a_warning(stripe, lines, caplog) -> None:
    payment = shop.buy()
    stripe.pays(amount=Money(1, "EUR"))
    assert [line["event"] for line in lines(shop.told, payment)] == ["payment.quarantined"]
    assert [record.levelname for record in caplog.records if record.name == NAME] == ["WARNING"]


def test_what_is_rolled_back_leaves_no_line(stripe, lines) -> None:
    payment = shop.buy()

    def fail() -> None:
        with transaction.atomic():
            payments.note(attempt=payment.attempts.get(), result=PaymentResult(state=PaymentState.FAILED))
            transaction.set_rollback(True)

    assert lines(fail) == []


def test_lines_name_nobody(stripe, lines, caplog) -> None:
    user = shop.make_user()
    Customer.objects.create(user=user, name="Ann Bauer", email="ann@example.com", country="FR")
    lines(shop.buy, user)
    written = [str(record.__dict__) for record in caplog.records if record.name == NAME]
    assert len(written) == 1
    assert not [word for word in ("Ann", "ann@", user.username) if word in written[0]]
