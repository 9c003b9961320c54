"""Money that stands aside, as that of a second payment does: what refunds and disputes left of it in `suspense`."""

from billing import fulfilment
from billing.models import Attempt, Dispute, Refund
from billing.models.refunds import OPEN, RefundStatus
from ledger.models import Account
from ledger.money import Money
from ledger.transfers import Move


def left(attempt: Attempt, unit: str, *, without: Refund | None = None) -> Money:
    """What is owed to the buyer still, as the books say."""
    arrived = Refund.objects.filter(attempt=attempt, status=RefundStatus.SUCCEEDED)
    if without is not None:
        arrived = arrived.exclude(pk=without.pk)
    gone = [each.key_now for each in arrived]
    for dispute in Dispute.objects.filter(attempt=attempt):
        gone += dispute.all_keys()
    name = f"suspense:{unit}"
    came = fulfilment.moved([fulfilment.aside_key(attempt)], target__name=name)
    return Money(max(0, came - fulfilment.moved(gone, source__name=name)), unit)


def left_by_refunds(attempt: Attempt, unit: str) -> Money:
    """The same, but for what is on its way."""
    under_way = Refund.objects.filter(attempt=attempt, status__in=OPEN)
    return Money(max(0, left(attempt, unit).minor - sum(each.amount_minor for each in under_way)), unit)


def moves(refund: Refund, outside: Account) -> list[Move]:
    """A refund of it that has arrived. What a bank has had already is lost with it."""
    unit = refund.currency
    owed = Money(min(refund.amount_minor, left(refund.attempt, unit, without=refund).minor), unit)
    parts = {"suspense": owed, "loss": refund.money - owed}
    return [Move(fulfilment.house(f"{name}:{unit}", unit), outside, part) for name, part in parts.items() if part.minor]


def lost(dispute: Dispute) -> int:
    """What of it was booked as our loss and is not found again yet, in minor units."""
    name = f"loss:{dispute.currency}"
    found = fulfilment.moved(dispute.all_keys(), target__name=name)
    return fulfilment.moved([dispute.key], source__name=name) - found
