"""Letters that tell of money going back and of no refund: a gateway that can is asked for all of the payment's."""

from dataclasses import replace

import pytest

from billing import inbox
from billing.gateways.base import Hint, PaymentRef, RefundResult, RefundState, Trust
from billing.gateways.subjects import Subject
from billing.models import GatewayLetter, Payment, Refund
from billing.tests import shop
from billing.tests.fakes import StandIn
from billing.tests.renewing import LATER, RenewingGateway, begin
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
ALL = RefundResult(state=RefundState.SUCCEEDED, ids={"refund": "re_1"}, amount=Money(999, "EUR"))


class ListingGateway(RenewingGateway):
    def list_refunds(self, payment: PaymentRef) -> list[RefundResult]:
        return [ALL]

    def fetch_refund(self, refund: object) -> RefundResult:
        return ALL


def hear(**says: object) -> None:
    told = Hint(
        event_id="evt_back",
        kind="charge.refunded",
        subject=Subject.MONEY_BACK,
        trust=Trust.SIGNED,
        **says,  # type: ignore[arg-type]
    )
    inbox.store("stripe", [told])
    inbox.drain(LATER)
    assert GatewayLetter.objects.get().state == "done"


def test_plan_that_was_paid_and_given_back_before_we_heard_of_either_is_both(stand_in: StandIn, on_sale: None) -> None:
    renewing = stand_in(ListingGateway("stripe"))
    found = begin()
    renewing.is_paid()
    bill = replace(renewing.invoices["in_1"], subscription="sub_1", reference=found.pk.hex, payment_intent="pi_1")
    renewing.invoices["in_1"] = bill
    hear(ids={"payment_intent": "pi_1"})
    assert Payment.objects.get().status == "succeeded"
    assert list(Refund.objects.values_list("amount_minor", "origin", "status")) == [(999, "gateway", "succeeded")]
    assert on("revenue:plans:EUR") == on("gateway:stripe:EUR") == 0
    assert checks.faults() == {}


def test_gateway_that_lists_no_refunds_is_asked_about_the_payment_alone(stripe) -> None:
    """Of each refund it writes a letter."""
    payment = shop.paid(stripe)
    stripe.asked.clear()
    hear(reference=payment.attempts.get().reference)
    assert (stripe.asked, Refund.objects.count(), shop.credits_of(payment.user)) == ([], 0, 275)
