"""The operators' queue: what the machine will not decide alone."""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils import timezone, translation
from django.utils.functional import Promise

from billing import errors
from billing.models import Attempt, Case, Payment, Payout, Refund, Subscription
from billing.models.cases import CaseKind
from billing.models.refunds import RefundStatus
from events import mail
from events.models import Kind
from ledger.money import Money

logger = logging.getLogger(__name__)

# The facts that the operators' letter needs in order to say which trouble of its kind it is.
_TOLD = ("refund", "purpose", "instruction", "why")


def open(  # noqa: A001 - read as cases.open(...)
    *,
    kind: CaseKind,
    payment: Payment | None = None,
    payout: Payout | None = None,
    subscription: Subscription | None = None,
    key: str,
    attempt: Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    amount: Money | None = None,
) -> Case:
    """A case for this trouble, made if there is none: whoever finds it again meets the first one. The amount is what it
    is about, such as that of a refund; nobody may take the whole payment's for it."""
    about = {"payment": payment, "attempt": attempt, "payout": payout, "subscription": subscription}
    new = Case(kind=kind, key=f"{kind}:{key}", facts=dict(facts or {}), **about)
    Case.objects.bulk_create([new], ignore_conflicts=True)
    case = Case.objects.get(key=new.key)
    if case.pk == new.pk:
        # An error, so that whoever watches the logs is told.
        thing = str(case.payment_id or case.payout_id or case.subscription_id)
        logger.error("case.opened", extra={"case": str(case.pk), "kind": str(kind), "about": thing})
        if kind != CaseKind.DISPUTE:  # its event has a letter of its own, which says until when to answer
            _write(case, amount)
    return case


def _write(case: Case, amount: Money | None) -> None:
    """To the operators, in the transaction that opened it."""
    data: dict[str, Any] = {"case": str(case.pk), "kind": str(case.kind)}
    data |= {name: case.facts[name] for name in _TOLD if case.facts.get(name)}
    if amount:
        data |= {"amount": amount.minor, "currency": amount.unit}
    if case.payment:
        data |= {
            "payment": str(case.payment_id),
            "paid": {"amount": case.payment.amount_minor, "currency": case.payment.currency},
            "customer": case.payment.user.get_username(),
        }
    if case.payout_id:
        data |= {"payout": str(case.payout_id)}
    if case.subscription:
        data |= {
            "subscription": str(case.subscription_id),
            "customer": case.subscription.user.get_username(),
            "gateway": case.subscription.gateway,
        }
    if case.attempt:
        data |= {"gateway": case.attempt.gateway}
    mail.tell_operators(kind=Kind.CASE, key=f"case:{case.pk}", data=data)


def close(*, case: Case, resolution: str, by: User) -> Case:
    """Say how it ended; closing twice is refused, so that the first word stands."""
    if not resolution.strip():
        raise errors.ResolutionMissing
    if case.kind == CaseKind.MANUAL_REFUND and (refund := _waiting_refund(case)):
        raise errors.RefundWaits(refund.pk)
    won = Case.objects.open().filter(pk=case.pk).update(closed_at=timezone.now(), closed_by=by, resolution=resolution)
    case.refresh_from_db()
    if not won:
        raise errors.CaseClosed(case.pk)
    return case


def _waiting_refund(case: Case) -> Refund | None:
    """Closed so, its money would be forgotten: the credits stay held, and nothing is booked."""
    return Refund.objects.filter(pk=case.facts.get("refund"), status=RefundStatus.MANUAL).first()


def in_house(sentence: str | Promise, **facts: Any) -> str:
    """What is kept with a case is in the language of the house, whoever met the trouble, as operators' letters are."""
    with translation.override(settings.LANGUAGE_CODE):
        return str(sentence) % facts


def settle(*, kinds: Collection[CaseKind], key: str, resolution: str, by: User | None = None) -> int:
    """What was waited for has come: the cases that waited for it close by themselves."""
    return _settle(Case.objects.filter(key__in=[f"{kind}:{key}" for kind in kinds]), resolution, by)


def settle_payout(*, payout: Payout, resolution: str, by: User | None = None) -> int:
    """Of a payout only what was waited for; a case of something wrong stays until somebody closes it."""
    return _settle(Case.objects.filter(kind=CaseKind.PAYOUT, payout=payout, facts__is_waiting=True), resolution, by)


def _settle(waiting: QuerySet[Case], resolution: str, by: User | None) -> int:
    still_open = waiting.filter(closed_at__isnull=True)
    return still_open.update(closed_at=timezone.now(), closed_by=by, resolution=resolution[:500])
