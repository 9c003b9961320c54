"""Disputes: a buyer's bank wants the money back. What was granted is frozen, and then free again or gone."""

import logging
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from billing import (
    calling,
    cases,
    dispute_losses,
    errors,
    fulfilment,
    payments,
    refund_credits,
    refunds_elsewhere,
    reversals,
    top_up,
)
from billing.gateways import registry
from billing.gateways import subscribing as words
from billing.gateways.base import Trust
from billing.gateways.errors import Uncertain
from billing.gateways.subscribing import AnswersDisputes, DisputeResult, EvidenceFile, EvidenceRequest, TellsDisputes
from billing.models import Attempt, Dispute, GatewayLetter
from billing.models.cases import CaseKind
from billing.models.payments import PaymentKind
from billing.models.refunds import DisputeState
from billing.models.top_ups import Suspension
from credits import grants, takebacks
from credits.errors import GrantClosed
from credits.models import Grant
from events import outbox
from events.types import EventType
from ledger.money import Money
from rest import dates

logger = logging.getLogger(__name__)

_STATES = {
    words.DisputeState.NEEDS_RESPONSE: DisputeState.OPEN,
    words.DisputeState.UNDER_REVIEW: DisputeState.OPEN,
    words.DisputeState.WON: DisputeState.WON,
    words.DisputeState.LOST: DisputeState.LOST,
}
_DOCUMENTS = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff")  # how a PDF, a PNG and a JPEG begin


def hear(*, attempt: Attempt, letter: GatewayLetter) -> bool:
    """What a letter says of a dispute, or its gateway when it can be asked; false if no money is at stake."""
    said = _said(letter)
    if said is None:
        return False
    note(attempt=attempt, result=said)
    return True


def _said(letter: GatewayLetter) -> DisputeResult | None:
    known, adapter = letter.ids.get("dispute", ""), registry.get(letter.gateway)
    if isinstance(adapter, AnswersDisputes) and known:
        result = calling.call(letter.gateway, "fetch_dispute", lambda: adapter.fetch_dispute(dispute=known))
        if result.state == words.DisputeState.WARNING_CLOSED and _is_known(letter.gateway, known):
            return replace(result, state=words.DisputeState.WON)
        return result if result.state in _STATES else None
    if letter.trust != Trust.SIGNED or not known or letter.amount_minor is None:
        return None
    if not isinstance(adapter, TellsDisputes):
        return None
    told, amount = (
        adapter.dispute_told(kind=letter.kind, event=letter.facts),
        Money(letter.amount_minor, letter.currency),
    )
    return DisputeResult(id=known, state=told.state, amount=_part(told.amount, amount), reason=told.reason)


def _part(told: Money | None, asked: Money) -> Money:
    """What was lost of what was asked for. Of nothing, of more and of other money nobody knows what it means."""
    if told is None or told.unit != asked.unit or not 0 < told.minor < asked.minor:
        return asked
    return told


def _is_known(gateway: str, name: str) -> bool:
    """Of an enquiry nothing is written down; what is known here had become more, and its end is an end all the same."""
    return Dispute.objects.filter(gateway=gateway, gateway_id=name).exists()


@transaction.atomic
def note(*, attempt: Attempt, result: DisputeResult) -> Dispute:
    """Write down how a dispute stands, in whatever order that is heard; what is over stays over."""
    payment = payments.lock(attempt.payment_id)
    new = Dispute(
        payment=payment,
        attempt=attempt,
        gateway=attempt.gateway,
        gateway_id=result.id,
        amount_minor=result.amount.minor,
        currency=result.amount.unit,
        reason=result.reason[:100],
        due_at=result.due_by,
    )
    Dispute.objects.bulk_create([new], ignore_conflicts=True)
    dispute = Dispute.objects.select_related("attempt").get(gateway=attempt.gateway, gateway_id=result.id)
    dispute.payment = payment
    if dispute.pk == new.pk:
        refund_credits.lock(payment)  # the customer before their credits, as everywhere
        _open(dispute)
    if dispute.state == DisputeState.OPEN:
        match _STATES.get(result.state):
            case DisputeState.WON:
                _won(dispute)
            case DisputeState.LOST:
                _lost(dispute, result.amount)
            case DisputeState.OPEN if result.due_by != dispute.due_at:
                dispute.due_at = result.due_by
                dispute.save(update_fields=["due_at"])
    return dispute


def _open(dispute: Dispute) -> None:
    if dispute.payment.kind == PaymentKind.PACK and not dispute_losses.stands_aside(dispute):
        unit = str(dispute.payment.details["unit"])
        top_up.stop(user=dispute.payment.user, unit=unit, reason=Suspension.DISPUTED)
    dispute_losses.freeze(dispute, _grants(dispute))
    reversals.give_way(dispute.attempt)  # what it gives free is frozen, and repays nothing before
    if dispute_losses.is_of_sellers(dispute):
        dispute_losses.freeze_sales(dispute, dispute.key)
    due_at = dates.written(dispute.due_at) if dispute.due_at else None
    facts = {"dispute": str(dispute.pk), "reason": dispute.reason, "due_at": due_at}
    cases.open(
        kind=CaseKind.DISPUTE, payment=dispute.payment, attempt=dispute.attempt, key=str(dispute.pk), facts=facts
    )
    _tell(
        dispute,
        EventType.PAYMENT_DISPUTED,
        reason=_word(dispute.reason),
        evidence_due_at=dispute.due_at,
    )


def _won(dispute: Dispute) -> None:
    _thaw(dispute)
    dispute_losses.free_sales(dispute)
    _close(dispute, DisputeState.WON)
    _tell(dispute, EventType.DISPUTE_WON)


def _lost(dispute: Dispute, amount: Money) -> None:
    """The bank has taken the money, or the part that was agreed on: what is left of what it brought goes, the rest is
    our loss."""
    dispute.amount_minor = _part(amount, dispute.money).minor
    dispute_losses.take(dispute)
    _thaw(dispute)
    dispute_losses.take_what_is_held(dispute)
    _close(dispute, DisputeState.LOST)
    _tell(dispute, EventType.DISPUTE_LOST)


def _thaw(dispute: Dispute) -> None:
    if Dispute.objects.of_what_was_delivered(dispute.payment, DisputeState.OPEN).exclude(pk=dispute.pk).exists():
        return  # another dispute about the same money is still open
    for grant in _grants(dispute):
        try:
            grants.unfreeze(grant=grant, reason=dispute_losses.reason(dispute), owner=dispute_losses.owner(dispute))
        except GrantClosed:
            continue


def _grants(dispute: Dispute) -> list[Grant]:
    if dispute_losses.stands_aside(dispute):
        return []
    return takebacks.grants_of(fulfilment.keys_of(dispute.payment))


def _close(dispute: Dispute, state: DisputeState) -> None:
    dispute.state, dispute.closed_at = state, timezone.now()
    dispute.save(update_fields=["state", "closed_at", "amount_minor"])
    refunds_elsewhere.take_up_waiting(dispute.payment)


# ---------------------------------------------------------------- what we say


def may_answer(dispute: Dispute) -> bool:
    """Only where the gateway takes evidence from us, and once."""
    answers = isinstance(registry.get(dispute.gateway), AnswersDisputes)
    return answers and dispute.state == DisputeState.OPEN and dispute.evidence_sent_at is None


def answer(
    *, dispute: Dispute, evidence: str, by: User, file: EvidenceFile | None = None, submit: bool = True
) -> Dispute:
    """Send what we have to say to the bank; only once, since nothing can be added afterwards."""
    adapter = registry.get(dispute.gateway)
    if not isinstance(adapter, AnswersDisputes):
        raise errors.CannotAnswer(dispute.gateway)
    if dispute.state != DisputeState.OPEN or dispute.evidence_sent_at is not None:
        raise errors.DisputeOver(dispute.pk, dispute.state)
    if not evidence.strip():
        raise errors.ReasonMissing
    wanted = EvidenceRequest(
        reference=dispute.pk.hex,
        dispute=dispute.gateway_id,
        texts={"uncategorized_text": evidence},
        files={"uncategorized_file": _checked(file)} if file else {},
        submit=submit,
    )
    try:
        calling.call(dispute.gateway, "evidence", lambda: adapter.send_evidence(wanted))
    except Uncertain as error:
        raise errors.EvidenceUnsure(dispute.pk) from error
    dispute.evidence = f"{evidence}\n\n[{file.name}, {len(file.content)} bytes]" if file else evidence
    dispute.evidence_sent_at = timezone.now() if submit else None
    dispute.save(update_fields=["evidence", "evidence_sent_at"])
    logger.info("dispute.answered", extra={"dispute": str(dispute.pk), "by": by.pk})
    return dispute


def _checked(file: EvidenceFile) -> EvidenceFile:
    """By its first bytes, since a name proves nothing; what a bank would not read is refused here."""
    too_large = len(file.content) > settings.DISPUTE_FILE_MAX_BYTES
    if too_large or not file.content.startswith(_DOCUMENTS):
        raise errors.EvidenceFileRefused(settings.DISPUTE_FILE_MAX_BYTES)
    return file


# ---------------------------------------------------------------- words


def _tell(dispute: Dispute, event: EventType, **more: Any) -> None:
    outbox.record(
        user=dispute.payment.user,
        type=event,
        data={
            "dispute": str(dispute.pk),
            "payment": str(dispute.payment_id),
            "amount": dispute.amount_minor,
            "currency": dispute.currency,
            **more,
        },
    )


def _word(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text) or "unknown"
