"""Refunds of a payment as its gateway lists them, for letters that tell of money and not of the refund it went by."""

from billing import asking, calling, gateway_refunds, refund_sending
from billing.gateways import registry
from billing.gateways.base import NOTHING_WENT, RefundResult, RefundState
from billing.gateways.subscribing import ListsRefunds
from billing.models import Attempt, Refund
from billing.models.refunds import RefundStatus


def hear(attempt: Attempt) -> None:
    """Each is one refund here, however often and by whatever letter it is told. One of ours bears our reference there,
    so that one without it was made by others."""
    adapter = registry.get(attempt.gateway)
    if not isinstance(adapter, ListsRefunds):
        return
    ref = asking.ref(attempt)
    ended_at = dict(Refund.objects.filter(attempt=attempt).values_list("pk", "ended_at"))
    for told in calling.call(attempt.gateway, "refunds", lambda: adapter.list_refunds(ref)):
        ours = _known(attempt, told)
        if ours is None and told.state not in NOTHING_WENT and told.amount is not None:
            ours = gateway_refunds.book(attempt=attempt, amount=told.amount, ids=told.ids)
        if ours is not None and not _says_the_same(ours, told):
            ours.ended_at = ended_at.get(ours.pk, ours.ended_at)  # as it was known when they were asked
            refund_sending.note(ours, told)


def _known(attempt: Attempt, told: RefundResult) -> Refund | None:
    theirs = Refund.objects.filter(attempt=attempt)
    by_reference = [each for each in theirs if told.reference and each.reference == told.reference]
    return (
        by_reference[0] if by_reference else theirs.filter(gateway_ids__contains={"refund": told.ids["refund"]}).first()
    )


def _says_the_same(ours: Refund, told: RefundResult) -> bool:
    return ours.status == RefundStatus.SUCCEEDED and told.state is RefundState.SUCCEEDED
