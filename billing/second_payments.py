"""A second payment of the same thing, while the first could still be paid: looked for before a gateway is chosen, and
again behind the lock under which the payment is written, where no rival can come between."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from billing import customers, errors, plan_payments
from billing.change_basis import Basis
from billing.models import Payment
from billing.models.payments import AttemptState, PaymentKind, PaymentQuerySet, PaymentStatus
from billing.pricing import Purchase

_NOTHING_CAME = (PaymentStatus.FAILED, PaymentStatus.CANCELLED, PaymentStatus.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was looked for, and what was there already."""

    user: User
    purchase: Purchase
    by_card: bool
    basis: Basis | None
    known: frozenset[UUID]  # of a saved card alone


def look(*, user: User, purchase: Purchase, by_card: bool, basis: Basis | None) -> Look:
    """Refused where a second payment would be begun beside one that may be paid already. A plan's payments and an
    invoice's have rules of their own, and free amounts their services'."""
    known: frozenset[UUID] = frozenset()
    if purchase.kind in (PaymentKind.PACK, PaymentKind.SALE):
        same = _same(user, purchase)
        _refuse_beside_an_unknown_one(same, by_card=by_card)
        known = frozenset(same.values_list("pk", flat=True)) if by_card else known
    return Look(user=user, purchase=purchase, by_card=by_card, basis=basis, known=known)


def look_again(seen: Look) -> None:
    """In the transaction that writes the payment: of rivals who have all looked, one goes on."""
    if seen.by_card:
        customers.lock(seen.user)
        same = _same(seen.user, seen.purchase)
        _refuse_beside_an_unknown_one(same, by_card=True)
        # Begun since we looked, and perhaps charged by now: who asked both times at once meant one.
        newer = same.exclude(pk__in=seen.known).exclude(status__in=_NOTHING_CAME).first()
        if newer is not None:
            raise errors.AttemptLive(newer.pk)
    if seen.purchase.kind == PaymentKind.PLAN:
        plan_payments.refuse_a_second(seen.purchase.details, seen.basis)


def _same(user: User, purchase: Purchase) -> PaymentQuerySet:
    rows = Payment.objects.of(user).filter(kind=purchase.kind, item=purchase.item)
    rows = rows.filter(amount_minor=purchase.amount.minor, currency=purchase.amount.unit)
    if purchase.kind == PaymentKind.SALE:
        rows = rows.filter(details__lines=purchase.details["lines"])
    return rows


def _refuse_beside_an_unknown_one(same: PaymentQuerySet, *, by_card: bool) -> None:
    """Whoever tries again, perhaps at another gateway, while nobody knows whether the first try is paid would pay
    twice. Beside a saved card even a call under way counts: it may charge by itself, where a page waits for its buyer.
    """
    # Once people look after it nobody asks any more, and it must not stand in the way for ever.
    states = [AttemptState.UNKNOWN, *([AttemptState.CREATED] if by_card else [])]
    unsure = Q(attempts__state__in=states, attempts__next_ask_at__isnull=False)
    if by_card:
        # Written and about to be sent. A process that died before it sent it is not waited for.
        unsure |= Q(attempts=None, created_at__gt=timezone.now() - timedelta(seconds=settings.CHECKOUT_CALL_SECONDS))
    if unknown := same.filter(unsure, status=PaymentStatus.PENDING).first():
        raise errors.AttemptLive(unknown.pk)
