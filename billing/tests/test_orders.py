"""What follows a purchase is heard in any order, and leads to the same end."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from billing import inbox, refund_sending
from billing.gateways.base import Hint, Letter, PaymentState, RefundRef, RefundResult, RefundState, Trust
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import DisputeState, DisputeTold
from billing.models import Dispute, GatewayLetter, Payment, Refund
from billing.tests import shop
from billing.tests.fakes import SECRET, RefundingGateway, StandIn
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db

REFUNDED = Money(400, "EUR")  # somebody gave it back in the gateway's own dashboard


@dataclass(frozen=True)
class Told:
    """What one letter is about."""

    kind: str
    subject: Subject
    ids: dict[str, str]
    amount: Money | None = None


LETTERS = {
    "completed": Told("payment.completed", Subject.PAYMENT, {}),
    "refunded": Told("payment.refunded", Subject.REFUND, {"refund": "re_dashboard"}, REFUNDED),
    "disputed": Told("dispute.opened", Subject.DISPUTE, {"dispute": "dp_1"}, Money(999, "EUR")),
    "won": Told("dispute.won", Subject.DISPUTE, {"dispute": "dp_1"}, Money(999, "EUR")),
}


class DashboardGateway(RefundingGateway):
    """Signs letters about all of it, and knows the refund that was made in its dashboard."""

    def read_letter(self, letter: Letter) -> list[Hint]:
        [hint] = super().read_letter(letter)
        told = LETTERS[hint.event_id]
        return [
            Hint(
                event_id=hint.event_id,
                kind=told.kind,
                subject=told.subject,
                trust=Trust.SIGNED,
                ids=told.ids,
                reference=hint.reference if told.subject is not Subject.REFUND else "",
                amount=told.amount,
                object=hint.object,
            )
        ]

    def dispute_told(self, *, kind: str, event: Mapping[str, object]) -> DisputeTold:
        is_over = kind == LETTERS["won"].kind
        return DisputeTold(state=DisputeState.WON if is_over else DisputeState.NEEDS_RESPONSE)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        assert refund.ids["refund"] == "re_dashboard"
        return RefundResult(state=RefundState.SUCCEEDED, ids=dict(refund.ids), amount=REFUNDED)


@pytest.fixture
def dashboard(stand_in: StandIn) -> DashboardGateway:
    return stand_in(DashboardGateway("stripe"))


def hear(name: str, reference: str, order: str) -> None:
    told = {"id": name, "kind": name, "reference": reference, "ids": {"order": order}}
    headers = {"x-signature": SECRET}
    answer = Client().post("/webhooks/stripe", orjson.dumps(told), content_type="application/json", headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("order", list(itertools.permutations(LETTERS)), ids="-".join)
def test_every_order_of_letters_leads_to_the_same_end(dashboard, monkeypatch, order) -> None:
    payment = shop.buy(gateways=["stripe"])
    attempt = payment.attempts.get()
    monkeypatch.setitem(LETTERS["refunded"].ids, "order", attempt.gateway_ids["order"])
    dashboard.becomes(PaymentState.SUCCEEDED, attempt.reference)
    for name in order:
        hear(name, attempt.reference, attempt.gateway_ids["order"])
        inbox.drain()
    for hours in (1, 2, 3):
        inbox.drain(timezone.now() + timedelta(hours=hours))
    refund_sending.work_through()  # a refund that was heard during the dispute is booked behind its end
    assert set(GatewayLetter.objects.values_list("state", flat=True)) == {"done"}
    assert Payment.objects.get(pk=payment.pk).status == "succeeded"
    assert Dispute.objects.get().state == "won"
    assert [(each.status, each.amount_minor) for each in Refund.objects.all()] == [("succeeded", 400)]
    assert shop.credits_of(payment.user) == 275 - 275 * 400 // 999
    assert (on("revenue:packs:EUR"), on("gateway:stripe:EUR")) == (599, -599)
    assert checks.faults() == {}
