"""A customer's consent to be charged when credits run low: given, changed and withdrawn.

A consent is kept with its time and its wording, and never altered: other terms are another consent. What the cards did
before counts on, so that switching off and on again is no way around a suspension.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from billing import customers, errors, pricing, saved_methods
from billing.models import TopUp
from billing.models.top_ups import ANOTHER_CARD_MENDS, Suspension
from credits import packs
from events import outbox
from events.types import EventType

logger = logging.getLogger(__name__)


def of(user: User) -> TopUp:
    found = TopUp.objects.agreed().select_related("pack").filter(user=user).first()
    if found is None:
        raise errors.TopUpOff
    return found


@transaction.atomic
def agree(
    *, user: User, pack: str, currency: str, threshold: int, monthly_cap_minor: int, consent: str, by: str
) -> TopUp:
    """Switch on, or change the terms. The same words and terms again are the consent that stands already; where it has
    stopped for what only a consent mends, they are another one."""
    lock_consents(user)
    wanted = packs.find(pack)
    customer = customers.get(user)
    purchase = pricing.pack(pack, currency, customer.locale)
    price = pricing.taxed(purchase, customer, customer.country).amount  # tax included: it is what is charged
    if threshold > wanted.total:
        raise errors.ThresholdTooHigh(wanted.total)
    if monthly_cap_minor < price.minor:
        raise errors.CapTooLow(price.minor, currency)
    if saved_methods.latest(user) is None:
        raise errors.NoSavedMethod
    terms = {
        "pack": wanted,
        "currency": currency,
        "price_minor": price.minor,
        "credits": wanted.total,
        "threshold": threshold,
        "monthly_cap_minor": monthly_cap_minor,
        "consent": consent,
    }
    before = latest(user)
    if before is not None and before.withdrawn_at is None:
        stands = before.suspended_at is None or before.suspended_for == Suspension.CARD_DECLINED
        if stands and all(getattr(before, name) == value for name, value in terms.items()):
            return before
        _end(before, by)
    return TopUp.objects.create(
        user=user, consented_at=timezone.now(), consent_by=by, **terms, **_what_cards_did(before)
    )


@transaction.atomic
def withdraw(*, user: User, by: str) -> TopUp:
    """No charge begins from now on. One that a gateway has already is finished: what is paid is delivered."""
    lock_consents(user)
    standing = of(user)
    _end(standing, by)
    return standing


def latest(user: User) -> TopUp | None:
    """The consent that stands, or the last one that did."""
    return TopUp.objects.filter(user=user).order_by("-id").first()


def suspend(standing: TopUp, reason: Suspension, now: datetime | None = None) -> None:
    """It stops by itself, and its customer is told why. The caller holds the lock. One that another card would start
    again stops for what only another consent mends, too."""
    if standing.suspended_at is not None and not (
        standing.suspended_for in ANOTHER_CARD_MENDS and reason not in ANOTHER_CARD_MENDS
    ):
        return
    standing.suspended_at, standing.suspended_for = now or timezone.now(), reason
    standing.save(update_fields=["suspended_at", "suspended_for"])
    logger.info("top_up.suspended", extra={"top_up": str(standing.pk), "reason": reason.value})
    outbox.record(
        user=standing.user,
        type=EventType.TOP_UP_SUSPENDED,
        data={
            "pack": standing.pack.code,
            "reason": reason.value,
            "mend_url": settings.TOP_UP_MEND_URL or saved_methods.page_url(standing.user),
        },
    )


def would_stop(*, user: User, unit: str) -> bool:
    """Whether money that goes back for credits of this unit stops anything."""
    return TopUp.objects.running().filter(user=user, pack__unit=unit).exists()


@transaction.atomic
def stop(*, user: User, unit: str, reason: Suspension) -> None:
    """Before credits are taken back or frozen since their money goes back, or may: who wants their money back is not
    charged again for what is missing then. Their own lock comes behind that of a payment, and before their purse's."""
    lock_consents(user)
    standing = TopUp.objects.agreed().select_related("pack", "user").filter(user=user, pack__unit=unit).first()
    if standing is not None:
        suspend(standing, reason)


def lock_consents(user: User) -> None:
    """The same lock as that of their cards."""
    saved_methods.lock(user)


def _end(top_up: TopUp, by: str) -> None:
    top_up.withdrawn_at, top_up.withdrawn_by = timezone.now(), by
    top_up.save(update_fields=["withdrawn_at", "withdrawn_by"])


def _what_cards_did(before: TopUp | None) -> dict[str, object]:
    if before is None:
        return {}
    if before.suspended_at is not None and (
        before.suspended_for == Suspension.CARD_DECLINED or before.declines >= settings.TOP_UP_MOST_DECLINES
    ):
        return {
            "declines": before.declines,
            "suspended_at": before.suspended_at,
            "suspended_for": Suspension.CARD_DECLINED,
        }
    # Waiting for the next month ends with other terms; waiting after a decline does not.
    return {"declines": before.declines, "next_try_at": before.next_try_at if before.declines else None}
