"""Sending approved withdrawals and asking about them: always under the withdrawal's own id, so whatever became of the
first call, the second one is the same payout."""

import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from billing import (
    asking,
    calling,
    customers,
    errors,
    gateway_choices,
    payout_routing,
    payouts,
    schedule,
    webhook_address,
)
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import PayoutRef, PayoutRequest, PaysOut
from billing.models import Payout
from billing.routing import Decision, Rule
from rest import sweeps
from wallets import withdrawals
from wallets.models import Withdrawal, WithdrawalStatus

logger = logging.getLogger(__name__)


def send(withdrawal: Withdrawal) -> Payout | None:
    """Pay an approved withdrawal out; of all who come at once, one does. None: somebody else has it, or nobody can."""
    if not Withdrawal.objects.to_send(timezone.now()).filter(pk=withdrawal.pk).exists():
        return None  # taken since it was found; the lock below decides, this only saves the way to it
    payout = _begin(withdrawal.pk, _choose(withdrawal))
    if payout is None:
        return None
    adapter = _adapter(payout.gateway)
    request = request_of(withdrawal, payout.gateway)
    try:
        result = calling.call(
            payout.gateway, "payout", lambda: adapter.send_payout(request), is_new_attempt=not payout.is_pinned
        )
    except gateway_errors.Declined as error:
        return payouts.declined(payout=payout, error=error)
    except gateway_errors.Unavailable as error:
        return payouts.put_off(payout=payout, error=error)
    except gateway_errors.Uncertain as error:
        return payouts.doubted(payout=payout, error=error)
    return payouts.sent(payout=payout, result=result)


def ask(payout: Payout, told: Mapping[str, str] = MappingProxyType({})) -> Payout:
    """What the gateway says of it now, by its ids and those that a letter told. A GatewayError means that it said
    nothing, and nothing has changed."""
    adapter = _adapter(payout.gateway)
    withdrawal = payout.withdrawal
    withdrawal.refresh_from_db(fields=["status"])  # it was found a while ago: others were asked about before it
    # Some gateways are asked by sending the same once more, which must not pay what has been taken back here.
    is_sent = withdrawal.status in payouts.AT_GATEWAY
    known = PayoutRef(
        reference=payout.reference,
        amount=withdrawal.payout,
        ids={**told, **payout.gateway_ids},
        created_at=payout.first_sent_at,
        request=request_of(withdrawal, payout.gateway) if is_sent else None,
    )
    result = calling.call(payout.gateway, "fetch_payout", lambda: adapter.fetch_payout(known))
    return payouts.note(payout=payout, result=result)


def ask_now(payout: Payout) -> Payout:
    """For somebody who does not want to wait."""
    if payout.sent_at is None:
        raise errors.PayoutNotSent
    try:
        return ask(payout)
    except gateway_errors.GatewayError as error:
        raise asking.unheard(payout.gateway, error) from error


def request_of(withdrawal: Withdrawal, name: str) -> PayoutRequest:
    """The same at every try: what it is made of does not change once it is asked for."""
    return PayoutRequest(
        reference=withdrawal.pk.hex,
        amount=withdrawal.payout,
        destination=_wanted(withdrawal).destination,
        description=f"Withdrawal {withdrawal.pk.hex[-12:]}",
        notify_url=webhook_address.of(name),
    )


def _adapter(name: str) -> PaysOut:
    adapter = registry.get(name)
    assert isinstance(adapter, PaysOut)  # noqa: S101 - it was chosen for that
    return adapter


# ---------------------------------------------------------------- which gateway, and who sends


def _wanted(withdrawal: Withdrawal) -> payout_routing.Wanted:
    name = customers.get(withdrawal.wallet.seller.user).name
    return payout_routing.wanted(withdrawal.payout, withdrawal.destination, name)


def _choose(withdrawal: Withdrawal) -> Decision:
    return payout_routing.decide(_wanted(withdrawal), gateway_choices.candidates())


def _begin(withdrawal_id: UUID, decision: Decision) -> Payout | None:
    """Commit that a gateway is about to be called; whoever comes second finds it taken. Nobody is called in here."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        # Whoever makes the row first lets the others wait here, and they find it made.
        Payout.objects.bulk_create([Payout(withdrawal_id=withdrawal_id)], ignore_conflicts=True)
        payout = payouts.lock(withdrawal_id)
        name = payout.gateway if payout.is_pinned else decision.best
        if payout.next_try_at is not None and payout.next_try_at > now:
            return None
        if payout.withdrawal.status != WithdrawalStatus.APPROVED:
            return None  # taken back while we came here; `mark_sending` would say so too, a case would not
        if not name:
            _put_by(payout, decision, now)
            return None
        if not withdrawals.mark_sending(withdrawal=payout.withdrawal, gateway=name):
            return None
        if payout.gateway != name:
            payout.gateway, payout.first_sent_at = name, now
        payout.choice, payout.sent_at, payout.not_found = decision.as_json(), now, 0
        payout.sends += 1
        # A process that dies during the call leaves it as it is here; then it is asked about.
        payout.next_try_at = schedule.next_ask_at(now, now=now)
        payout.save()
    return payout


def _put_by(payout: Payout, decision: Decision, now: datetime) -> None:
    """Those that are only away come back by themselves; else people are told."""
    payout.choice = decision.as_json()
    payout.next_try_at = now + timedelta(seconds=settings.PAYOUT_RETRY_SECONDS)
    payout.save()
    if all(each.rule is not Rule.BREAKER_OPEN for each in decision.ruled_out):
        payouts.raise_homeless(payout)


# ---------------------------------------------------------------- sweeps


def work_through(now: datetime | None = None) -> int:
    """Ask about what is under way, and send what is approved; returns how many were touched."""
    moment = now or timezone.now()
    payouts.settle_cases_of_what_is_over()
    return _ask_due(moment) + _send_due(moment)


def _send_due(now: datetime) -> int:
    touched: set[UUID] = set()
    while found := _some_to_send(now, touched):
        random.shuffle(found)  # several workers come with the same list: they begin at different ends of it
        for withdrawal in found:
            touched.add(withdrawal.pk)
            with sweeps.alone("payout.not_sent", withdrawal=str(withdrawal.pk)):
                send(withdrawal)
    return len(touched)


def _some_to_send(now: datetime, touched: set[UUID]) -> list[Withdrawal]:
    waits = Q(sent__isnull=True) | Q(sent__next_try_at__isnull=True) | Q(sent__next_try_at__lte=now)
    rows = Withdrawal.objects.to_send(now).filter(waits).exclude(pk__in=touched)
    rows = rows.select_related("wallet__seller__user", "destination")
    return list(rows[: settings.PAYOUT_SWEEP_BATCH])


def _ask_due(now: datetime) -> int:
    asked: set[UUID] = set()
    while due := _claim(now, asked):
        for payout in due:
            asked.add(payout.pk)
            with sweeps.alone("payout.not_asked", payout=str(payout.pk)):
                _quietly_ask(payout)
            with sweeps.alone("payout.not_handed_over", payout=str(payout.pk)):
                payouts.raise_stuck(payout)
    return len(asked)


def _claim(now: datetime, asked: set[UUID]) -> list[Payout]:
    def ask_again(payout: Payout) -> None:
        payout.asks += 1
        payout.next_try_at = payouts.next_question(payout) if payouts.is_asked(payout) else payouts.next_look(payout)

    due = Payout.objects.whole().to_ask().filter(next_try_at__lte=now).exclude(pk__in=asked)
    return sweeps.claim(
        due, by="next_try_at", most=settings.PAYOUT_SWEEP_BATCH, then=ask_again, writes=["asks", "next_try_at"]
    )


def _quietly_ask(payout: Payout) -> None:
    try:
        ask(payout)
    except gateway_errors.GatewayError as error:
        logger.info("payout.not_told", extra={"payout": str(payout.pk), "why": str(error)})
    except registry.UnknownGateway:
        logger.warning("payout.gateway_gone", extra={"payout": str(payout.pk), "gateway": payout.gateway})
