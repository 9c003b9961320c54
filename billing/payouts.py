"""How a payout moves: what a gateway says of it, written down behind the lock of the seller's wallet.

The withdrawal holds the money and says how it stands; the payout says what the gateway knows. That nothing was done is
believed only of the worker that sent last: one that slept for an hour while another sent again has nothing to say.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import cases, errors, failures, fulfilment, schedule
from billing.gateways import errors as gateway_errors
from billing.gateways.base import PayoutResult, PayoutState
from billing.models import Case, Payout
from billing.models.cases import CaseKind
from ledger import transfers
from ledger.money import Money
from ledger.transfers import Move
from wallets import sellers, withdrawals
from wallets.models import Wallet, Withdrawal
from wallets.models import WithdrawalStatus as Status

logger = logging.getLogger(__name__)

AT_GATEWAY = (Status.SENDING, Status.UNCERTAIN)
NOT_WANTED = (Status.FAILED, Status.CANCELLED, Status.REJECTED)  # the seller has the money again
OVER = (PayoutState.FAILED, PayoutState.CANCELLED, PayoutState.RETURNED)
# Refusals that say something of us and nothing of the seller: people have to look.
OURS = {gateway_errors.FailureCategory.INSUFFICIENT_FUNDS, gateway_errors.FailureCategory.CONFIGURATION}


def lock(payout_id: UUID) -> Payout:
    """The payout and its withdrawal as they are now, behind the wallet's lock: the same lock that every act on the
    withdrawal takes first."""
    sellers.locked(Wallet.objects.filter(withdrawals=payout_id)).values_list("pk").get()
    return Payout.objects.select_related("withdrawal__wallet").get(pk=payout_id)


# ---------------------------------------------------------------- what the call of sending brought


@transaction.atomic
def sent(*, payout: Payout, result: PayoutResult) -> Payout:
    """It was taken: everything else is as if the gateway had been asked. Whoever sent it, what it says is true."""
    return note(payout=payout, result=result)


@transaction.atomic
def declined(*, payout: Payout, error: gateway_errors.Declined) -> Payout:
    """It said no, for good: nothing moved, and the seller has the money again."""
    current = lock(payout.pk)
    if not _was_ours(current, payout):
        return current
    current.state = PayoutState.FAILED
    failures.remember(current, failures.of(error))
    current.next_try_at = None
    current.save()
    withdrawals.mark_failed(withdrawal=current.withdrawal, reason=_reason(current))
    cases.settle_payout(payout=current, resolution=_not_paid(current))
    if error.category in OURS:
        why = cases.in_house(_("%(gateway)s refused it: %(reason)s"), gateway=current.gateway, reason=error.category)
        _ask_people(current, "refused", why)
    return current


@transaction.atomic
def put_off(*, payout: Payout, error: gateway_errors.GatewayError) -> Payout:
    """It surely did nothing: it is tried later, by this gateway, or by another one if this one never heard of it."""
    current = lock(payout.pk)
    if not _was_ours(current, payout):
        return current
    now, pause = timezone.now(), max(settings.PAYOUT_RETRY_SECONDS, error.retry_after_seconds or 0)
    if error.category in OURS:
        # Nothing but an operator mends that.
        pause = max(pause, settings.GATEWAY_ASK_OFTEN_SECONDS)
        why = cases.in_house(_("%(gateway)s refused it: %(reason)s"), gateway=current.gateway, reason=error.category)
        _ask_people(current, f"blocked:{error.category}", why, is_waiting=True)
    elif current.first_sent_at and now - current.first_sent_at > timedelta(days=1):
        why = cases.in_house(_("%(gateway)s has been away for a day"), gateway=current.gateway)
        _ask_people(current, "away", why, is_waiting=True)
    current.next_try_at = now + timedelta(seconds=pause)
    failures.remember(current, failures.of(error))
    current.save()
    withdrawals.mark_unsent(withdrawal=current.withdrawal, note=f"{current.gateway} is away")
    return current


@transaction.atomic
def doubted(*, payout: Payout, error: gateway_errors.GatewayError) -> Payout:
    """It may have acted: nobody sends it anywhere else, and it is asked until it says."""
    current = lock(payout.pk)
    if _was_ours(current, payout):
        current.is_pinned = True
        failures.remember(current, failures.of(error))
        current.next_try_at = next_question(current)
        current.save()
        withdrawals.mark_uncertain(withdrawal=current.withdrawal)
    return current


def _was_ours(current: Payout, sent: Payout) -> bool:
    return current.sends == sent.sends and current.withdrawal.status in AT_GATEWAY


# ---------------------------------------------------------------- what a gateway says


@transaction.atomic
def note(*, payout: Payout, result: PayoutResult) -> Payout:
    """Write down what a gateway says of a payout, and do what follows from it. What is heard twice happens once."""
    current = lock(payout.pk)
    current.gateway_ids = {**current.gateway_ids, **result.ids}
    current.last_reply = dict(result.raw) or current.last_reply
    current.state = result.state
    if result.state is PayoutState.NOT_FOUND:
        _not_found(current)
    else:
        current.is_pinned, current.not_found = True, 0
        failures.remember(current, result.failure)
        if result.state is PayoutState.PAID:
            _paid(current, result)
        elif result.state in OVER:
            _over(current)
        else:
            _goes_on(current)
    current.save()
    current.withdrawal.refresh_from_db(fields=["status", "gateway", "reason", "resolved_at"])
    return current


def _paid(payout: Payout, result: PayoutResult) -> None:
    withdrawal, now = payout.withdrawal, timezone.now()
    if result.amount is not None and result.amount != withdrawal.payout:
        sentence = _("%(gateway)s paid %(paid)s and should have paid %(due)s")
        why = cases.in_house(sentence, gateway=payout.gateway, paid=result.amount, due=withdrawal.payout)
        _ask_people(payout, f"amount:{result.amount}", why)
        payout.next_try_at = None
        if withdrawal.status == Status.SENDING:
            withdrawals.mark_uncertain(withdrawal=withdrawal)
        return
    if withdrawal.status == Status.APPROVED:
        # It was to be sent again, since the gateway had not known of it: it has been slow to know.
        withdrawals.mark_sending(withdrawal=withdrawal, gateway=payout.gateway)
        withdrawal.status = Status.SENDING
    if withdrawal.status in AT_GATEWAY:
        withdrawals.mark_paid(withdrawal=withdrawal, gateway_reference=_known_as(payout))
        said = cases.in_house(_("%(gateway)s has paid it"), gateway=payout.gateway)
        cases.settle_payout(payout=payout, resolution=said)
        _book_fee(payout, result.fee)
        payout.next_try_at = schedule.late_ask_at(now, now=now)
    elif withdrawal.status == Status.PAID:
        payout.next_try_at = next_look(payout)
    else:
        sentence, status = _("%(gateway)s paid it, and here it is: %(status)s"), Status(withdrawal.status).label
        why = cases.in_house(sentence, gateway=payout.gateway, status=status)
        _ask_people(payout, f"paid:{withdrawal.status}", why)
        payout.next_try_at = None


def _book_fee(payout: Payout, fee: Money | None) -> None:
    """What the gateway takes for it is our cost; the seller's own fee was said before."""
    if fee is None or not fee.minor or fee.unit != payout.withdrawal.wallet.currency:
        return
    payout.fee_minor = fee.minor
    fees = fulfilment.house(f"fees:{payout.gateway}:{fee.unit}", fee.unit)
    moves = [Move(fees, fulfilment.gateway_account(payout.gateway, fee.unit), fee)]
    metadata = {"withdrawal": str(payout.pk)}
    transfers.post(key=f"withdrawal:{payout.pk}:fee", kind="withdrawal.fee", moves=moves, metadata=metadata)


def _over(payout: Payout) -> None:
    payout.next_try_at = None
    if payout.withdrawal.status in AT_GATEWAY:
        withdrawals.mark_failed(withdrawal=payout.withdrawal, reason=_reason(payout))
        cases.settle_payout(payout=payout, resolution=_not_paid(payout))
    elif payout.withdrawal.status == Status.PAID:
        withdrawals.mark_returned(withdrawal=payout.withdrawal, reason=_reason(payout))


def _goes_on(payout: Payout) -> None:
    withdrawal = payout.withdrawal
    if withdrawal.status in NOT_WANTED:
        sentence, status = _("%(gateway)s is paying it, and here it is: %(status)s"), Status(withdrawal.status).label
        why = cases.in_house(sentence, gateway=payout.gateway, status=status)
        _ask_people(payout, f"paying:{withdrawal.status}", why)
        payout.next_try_at = next_question(payout)
    if withdrawal.status not in AT_GATEWAY:
        return
    withdrawals.mark_uncertain(withdrawal=payout.withdrawal, gateway_reference=_known_as(payout))
    payout.next_try_at = next_question(payout)


def _not_found(payout: Payout) -> None:
    """Sending it again under the same reference to the same gateway is safe, once it is certain that it never arrived.
    One that the gateway has given an id of its own is never taken for lost."""
    if payout.withdrawal.status not in AT_GATEWAY:
        return
    payout.not_found += 1
    payout.is_pinned = True
    now, sent_at = timezone.now(), payout.sent_at or payout.created_at
    proven = schedule.proves_absence(schedule.Sent.PAYOUT, sent_at, now=now, answers=payout.not_found)
    if proven and not payout.gateway_ids:
        payout.not_found, payout.next_try_at = 0, now
        note = f"{payout.gateway} has never heard of it"
        withdrawals.mark_unsent(withdrawal=payout.withdrawal, note=note)
        return
    payout.next_try_at = next_question(payout)
    withdrawals.mark_uncertain(withdrawal=payout.withdrawal)


def next_question(payout: Payout) -> datetime:
    """It is asked about for as long as it takes; after a day with somebody's help."""
    now = timezone.now()
    return _by_schedule(payout, now) or now + timedelta(hours=settings.PAYOUT_ASK_HOURS)


def next_look(payout: Payout) -> datetime | None:
    """What is paid may come back: it is looked at a few times more."""
    paid_at = payout.withdrawal.resolved_at
    if paid_at is None or payout.withdrawal.status != Status.PAID:
        return None
    return schedule.late_ask_at(paid_at, now=timezone.now())


def is_asked(payout: Payout) -> bool:
    """Its end is waited for, also of one that its gateway pays although the seller has the money again."""
    return payout.withdrawal.is_open or (payout.withdrawal.status in NOT_WANTED and payout.is_pinned)


def is_stuck(payout: Payout) -> bool:
    return payout.withdrawal.status in AT_GATEWAY and _by_schedule(payout, timezone.now()) is None


def _by_schedule(payout: Payout, now: datetime) -> datetime | None:
    return schedule.next_ask_at(payout.sent_at or payout.created_at, now=now)


# ---------------------------------------------------------------- people


def raise_stuck(payout: Payout) -> None:
    """Nobody knows after a day: the money stays held, and people look at it."""
    if not is_stuck(payout):
        return
    with transaction.atomic():
        current = lock(payout.pk)  # whoever hears the end at this moment either comes first or closes the case
        if is_stuck(current):
            # Whoever was sending it has died: people may say how it ended, and no worker will any more.
            withdrawals.mark_uncertain(withdrawal=current.withdrawal)
            sentence = _("%(gateway)s has not said for a day whether it is paid: %(state)s")
            why = cases.in_house(sentence, gateway=current.gateway, state=current.state or _("silent"))
            _ask_people(current, f"stuck:{current.sends}:{current.state}", why, is_waiting=True)


def raise_homeless(payout: Payout) -> None:
    """No gateway of ours pays out such an amount to such a destination."""
    _ask_people(payout, "homeless", cases.in_house(_("no gateway can pay it out")), is_waiting=True)


def settle_cases_of_what_is_over() -> int:
    """Whoever took a withdrawal back or rejected it knows of no case; nobody waits for a gateway any more."""
    over = Case.objects.open().filter(
        kind=CaseKind.PAYOUT, facts__is_waiting=True, payout__withdrawal__status__in=(Status.CANCELLED, Status.REJECTED)
    )
    found = {case.payout_id: case.payout for case in over.select_related("payout__withdrawal")}
    return sum(
        cases.settle_payout(payout=payout, resolution=_over_here(payout.withdrawal))
        for payout in found.values()
        if payout is not None
    )


def _ask_people(payout: Payout, trouble: str, why: str, *, is_waiting: bool = False) -> Case:
    """Once for each trouble. What is only waited for closes by itself once it has come; what is wrong stays until
    somebody closes it."""
    amount = payout.withdrawal.payout
    facts = {"why": why, "amount": str(amount), "gateway": payout.gateway, "is_waiting": is_waiting}
    return cases.open(kind=CaseKind.PAYOUT, payout=payout, key=f"{payout.pk}:{trouble}", facts=facts, amount=amount)


@transaction.atomic
def resolve(*, payout: Payout, is_paid: bool, proof: str, by: User) -> Payout:
    """What people found out at the gateway of a payout that it does not tell us about."""
    if not proof.strip():
        raise errors.ReasonMissing
    current = lock(payout.pk)
    if current.withdrawal.status != Status.UNCERTAIN:
        raise errors.PayoutNotOpen(current.withdrawal.status)
    current.last_reply = {"proof": proof, "by": by.get_username(), "is_paid": is_paid}
    current.next_try_at = None
    current.save()
    if is_paid:
        withdrawals.mark_paid(withdrawal=current.withdrawal, gateway_reference=proof[:200])
    else:
        # The seller reads the reason; what people write to each other stays with the case.
        withdrawals.mark_failed(withdrawal=current.withdrawal, reason=f"{current.gateway}: not_paid")
    said = cases.in_house(_("Said how it ended: %(proof)s"), proof=proof)
    cases.settle_payout(payout=current, resolution=said, by=by)
    logger.warning("payout.resolved", extra={"payout": str(current.pk), "is_paid": is_paid, "by": by.pk})
    return lock(payout.pk)


# ---------------------------------------------------------------- words


def _not_paid(payout: Payout) -> str:
    return cases.in_house(_("not paid: %(reason)s"), reason=_reason(payout))


def _over_here(withdrawal: Withdrawal) -> str:
    return cases.in_house(_("the withdrawal is over: %(status)s"), status=Status(withdrawal.status).label)


def _reason(payout: Payout) -> str:
    said: Any = payout.failure_code or payout.failure_category or payout.state
    return f"{payout.gateway}: {said}"


def _known_as(payout: Payout) -> str:
    ids = payout.gateway_ids
    return str(next((ids[name] for name in ("item", "transfer", "payout", "batch") if name in ids), ""))[:200]
