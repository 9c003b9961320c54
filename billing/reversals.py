"""Money that a bank or a gateway takes back by itself: booked like a refund made there, until a dispute stands for it.

The letter about the money and those about the dispute come in any order. Whichever is first, the dispute has the last
word: what was booked before it was heard of is undone, and its end books what is lost.
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing import cases, gateway_refunds, payments, refunds
from billing.gateways.base import RefundResult, RefundState
from billing.models import Attempt, Dispute, Refund
from billing.models.cases import CaseKind
from billing.models.refunds import DisputeState, RefundOrigin
from billing.refunds_elsewhere import REVERSAL
from ledger.money import Money


def is_of_dispute(attempt: Attempt, at: datetime) -> bool:
    """That books the money when it is lost. Of one that was won it is what was taken before its end."""
    stands = Q(state__in=[DisputeState.OPEN, DisputeState.LOST]) | Q(state=DisputeState.WON, closed_at__gte=at)
    return Dispute.objects.filter(stands, attempt=attempt).exists()


@transaction.atomic
def book(*, attempt: Attempt, amount: Money, ids: Mapping[str, str], at: datetime) -> Refund | None:
    """None: a dispute was heard of meanwhile."""
    payments.lock(attempt.payment_id)
    if is_of_dispute(attempt, at):
        return None
    return gateway_refunds.book(attempt=attempt, amount=amount, ids={**ids, REVERSAL: "bank"})


@transaction.atomic
def give_way(attempt: Attempt) -> None:
    """A dispute is heard of for the first time: what was booked or begun for the money that it took is undone."""
    taken = Refund.objects.counted().filter(attempt=attempt, gateway_ids__contains={REVERSAL: "bank"})
    for refund in taken.order_by("id"):
        undone = RefundResult(state=RefundState.CANCELLED, ids={REVERSAL: "dispute"})
        moved = refunds.note(refund=refund, result=undone)
        if moved.origin == RefundOrigin.GATEWAY:
            said = cases.in_house(_("The dispute stands for it."))
            for trouble in ("failed", "back", "unplanned"):
                cases.settle(kinds=[CaseKind.REFUND_FAILED], key=f"{refund.key_now}:{trouble}", resolution=said)
