"""What machines gave up on or may not do alone, and what waits for a second person: lines of the admin's home page."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, Value
from django.db.models.fields import TextField
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext

from billing.models import Case, Discrepancy, GatewayLetter, Refund
from billing.models.refunds import RefundStatus
from events.models import Delivery, DeliveryState, Message, MessageState
from ledger.columns import shown
from ledger.money import for_reader
from rest.links import list_of, page_of
from wallets.models import Adjustment, AdjustmentStatus

ROWS_SHOWN = 5
Text = str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One thing that waits for somebody."""

    label: str
    detail: Text = ""
    at: datetime.datetime | None = None
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many things of a kind wait, the first of them, and where the rest are."""

    total: int
    first: list[Need] = field(default_factory=list)
    more_url: str = ""


def found(rows: QuerySet[Any], need: Callable[[Any], Need], more_url: str) -> Found:
    return Found(total=rows.count(), first=[need(row) for row in rows[:ROWS_SHOWN]], more_url=more_url)


def _since() -> datetime.datetime:
    """What was given up longer ago is not asked about for ever: nobody will mend it, and its list still has it."""
    return timezone.now() - datetime.timedelta(days=settings.HOME_LOOKS_BACK_DAYS)


def unread_letters() -> Found:
    """Of gateways: given up after many tries, or about nothing that is here."""
    return found(
        GatewayLetter.objects.to_look_at().filter(received_at__gte=_since()).order_by("-id"),
        lambda letter: Need(
            label=f"{letter.gateway} {letter.kind}",
            detail=letter.error or letter.get_state_display(),
            at=letter.received_at,
            url=page_of(letter),
        ),
        list_of(GatewayLetter, state__in="dead,unknown"),
    )


def adjustments_to_agree_to() -> Found:
    return found(
        Adjustment.objects.filter(status=AdjustmentStatus.REQUESTED)
        .select_related("wallet__seller__user", "requested_by")
        .order_by("id"),
        lambda each: Need(
            label=each.wallet.seller.user.get_username(),
            detail=gettext("%(amount)s, asked for by %(who)s")
            % {"amount": shown(each.amount_minor, each.wallet.currency), "who": each.requested_by},
            at=each.created_at,
            url=page_of(each),
        ),
        list_of(Adjustment, status__exact=AdjustmentStatus.REQUESTED.value),
    )


def open_discrepancies() -> Found:
    return found(
        Discrepancy.objects.open().order_by("id"),
        lambda each: Need(
            label=f"{each.gateway} {each.day:%Y-%m-%d}",
            detail=each.get_outcome_display(),
            at=each.opened_at,
            url=page_of(each),
        ),
        list_of(Discrepancy, open="yes"),
    )


def refunds_without_a_case() -> Found:
    """To be sent by hand, and whoever closed the case did not say that it was: nothing else asks about them."""
    its_key = Concat(Value("manual_refund:refund:"), Cast(OuterRef("pk"), TextField()))
    asked = Case.objects.open().filter(key=its_key)
    return found(
        Refund.objects.filter(~Exists(asked), status=RefundStatus.MANUAL)
        .select_related("payment__user")
        .order_by("id"),
        lambda refund: Need(
            label=refund.payment.user.get_username(),
            detail=for_reader(refund.money),
            at=refund.created_at,
            url=page_of(refund),
        ),
        list_of(Refund, status__exact=RefundStatus.MANUAL.value),
    )


def failed_letters() -> Found:
    """E-mails that were given up: whoever they were for knows nothing."""
    return found(
        Message.objects.filter(state=MessageState.FAILED, created_at__gte=_since()).order_by("-id"),
        lambda message: Need(
            label=message.address, detail=message.error or message.subject, at=message.created_at, url=page_of(message)
        ),
        list_of(Message, state__exact=MessageState.FAILED.value),
    )


def dead_deliveries() -> Found:
    """Events that a webhook's receiver never took."""
    return found(
        Delivery.objects.filter(state=DeliveryState.DEAD, due_at__gte=_since())
        .select_related("endpoint", "event")
        .order_by("-id"),
        lambda delivery: Need(
            label=str(delivery.endpoint),
            detail=str(delivery.event.get_type_display()),
            at=delivery.last_sent_at,
            url=page_of(delivery),
        ),
        list_of(Delivery, state__exact=DeliveryState.DEAD.value),
    )
