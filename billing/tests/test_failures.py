"""Why a gateway did not do it is kept alike with a payment's attempt, a refund and a payout."""

import pytest

from billing import failures, payments
from billing.gateways.base import Failure
from billing.gateways.errors import FailureCategory, Uncertain
from billing.models import Attempt, Payout, Refund
from billing.tests import shop

LONG = Failure(category=FailureCategory.RISK, code="c" * 150, message="m" * 700)


@pytest.mark.parametrize("row", [Attempt(), Refund(), Payout()], ids=["attempt", "refund", "payout"])
def test_words_are_kept_as_far_as_there_is_room_and_forgotten(row: Attempt | Refund | Payout) -> None:
    failures.remember(row, LONG)
    assert (row.failure_category, row.failure_code) == ("risk", "c" * 100)
    assert getattr(row, "failure_message", "m" * 500) == "m" * 500
    failures.remember(row, None)
    assert (row.failure_category, row.failure_code, getattr(row, "failure_message", "")) == ("", "", "")


@pytest.mark.django_db
def test_attempt_in_doubt_keeps_the_sentence_for_operators(stripe) -> None:
    payment = shop.buy(gateways=["stripe"])
    doubt = Uncertain("The reply was lost on the way.", gateway="stripe", category=FailureCategory.PROVIDER_DOWN)
    found = payments.doubt(attempt=payment.attempts.get(), error=doubt)
    assert (found.state, found.failure_message) == ("unknown", "The reply was lost on the way.")
