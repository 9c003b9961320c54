"""What one customer has and had: some lines of each kind, for those who may view it, with the way to all of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.models import Case, Dispute, Invoice, Payment, Refund, Subscription
from billing.models.subscriptions import LIVE
from credits import balances
from credits.models import Purse
from events.models import Message
from ledger.columns import rewritten, shown
from ledger.money import for_reader
from rest.links import list_of, may_view, page_of
from wallets.models import Wallet
from wallets.sellers import PARTS

SHOWN = 10
Text = str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    url: str
    text: Text
    detail: Text = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    title: Text
    empty: Text
    lines: list[Line] = field(default_factory=list)
    more_url: str = ""  # empty: these are all


def of(request: HttpRequest, user: User) -> list[Block]:
    found: list[Block] = []
    for model, block in _BLOCKS:
        if may_view(request, model):
            found += block(user)
    return found


def _block(title: Text, empty: Text, model: type[Model], user: User, lines: list[Line]) -> Iterator[Block]:
    """One line more than is shown says that there are more."""
    more = list_of(model, q=user.get_username()) if len(lines) > SHOWN else ""
    yield Block(title=title, empty=empty, lines=lines[:SHOWN], more_url=more)


def _credits(user: User) -> Iterator[Block]:
    lines = []
    for purse in Purse.objects.filter(user=user).order_by("unit")[: SHOWN + 1]:
        balance = balances.of(user, purse.unit)
        parts = [gettext("held: %(amount)s") % {"amount": balance.held} if balance.held else ""]
        parts += [gettext("owed: %(amount)s") % {"amount": balance.owed} if balance.owed else ""]
        detail = ", ".join(filter(None, parts))
        lines.append(Line(url=page_of(purse), text=shown(balance.available, purse.unit), detail=detail))
    yield from _block(_("Credits"), _("No credits, and none ever."), Purse, user, lines)


def _wallets(user: User) -> Iterator[Block]:
    """Only of sellers: most customers are none."""
    lines = []
    for wallet in Wallet.objects.filter(seller__user=user).select_related(*PARTS).order_by("currency")[: SHOWN + 1]:
        free = shown(wallet.available.balance - wallet.available.held, wallet.currency)
        pending = shown(wallet.pending.balance, wallet.currency)
        text, detail = gettext("available: %(amount)s"), gettext("pending: %(amount)s")
        lines.append(Line(url=page_of(wallet), text=text % {"amount": free}, detail=detail % {"amount": pending}))
    if lines:
        yield from _block(_("Wallets as a seller"), "", Wallet, user, lines)


def _plans(user: User) -> Iterator[Block]:
    rows = Subscription.objects.filter(user=user, status__in=LIVE).select_related("price__plan").order_by("-id")
    lines = []
    for each in rows[: SHOWN + 1]:
        price = f"{for_reader(each.price.money)} / {each.price.get_interval_display()}"
        until = each.paid_until  # none yet, where its page is still open
        day = date_format(timezone.localtime(until), "DATE_FORMAT") if until else ""
        paid = gettext("paid until %(day)s") % {"day": day} if day else ""
        detail = " · ".join(filter(None, (price, str(each.get_status_display()), paid)))
        lines.append(Line(url=page_of(each), text=each.price.plan.code, detail=detail))
    yield from _block(_("Plans in force"), _("No plan."), Subscription, user, lines)


def _payments(user: User) -> Iterator[Block]:
    lines = [
        Line(url=page_of(each), text=str(each), detail=each.get_status_display(), at=each.created_at)
        for each in Payment.objects.filter(user=user).order_by("-id")[: SHOWN + 1]
    ]
    yield from _block(_("Latest payments"), _("Nothing bought."), Payment, user, lines)


def _refunds(user: User) -> Iterator[Block]:
    lines = [
        Line(url=page_of(each), text=for_reader(each.money), detail=each.get_status_display(), at=each.created_at)
        for each in Refund.objects.filter(payment__user=user).order_by("-id")[: SHOWN + 1]
    ]
    yield from _block(_("Refunds"), _("Nothing given back."), Refund, user, lines)


def _disputes(user: User) -> Iterator[Block]:
    lines = [
        Line(url=page_of(each), text=for_reader(each.money), detail=each.get_state_display(), at=each.opened_at)
        for each in Dispute.objects.filter(payment__user=user).order_by("-id")[: SHOWN + 1]
    ]
    if lines:
        yield from _block(_("Disputes"), "", Dispute, user, lines)


def _invoices(user: User) -> Iterator[Block]:
    rows = Invoice.objects.filter(user=user).select_related("payment").prefetch_related("credit_notes__credit_notes")
    lines = [
        Line(
            url=page_of(each),
            text=each.number,
            detail=f"{for_reader(each.gross)} · {each.status.label}",
            at=each.issued_at,
        )
        for each in rows.order_by("-id")[: SHOWN + 1]
    ]
    yield from _block(_("Invoices"), _("No invoice."), Invoice, user, lines)


def _cases(user: User) -> Iterator[Block]:
    theirs = Q(payment__user=user) | Q(subscription__user=user) | Q(payout__withdrawal__wallet__seller__user=user)
    rows = Case.objects.open().filter(theirs).order_by("opened_at")  # those that are open are few, and have an index
    lines = [
        Line(
            url=page_of(each),
            text=each.get_kind_display(),
            detail=rewritten(str(each.facts.get("why") or each.facts.get("amount") or "")),
            at=each.opened_at,
        )
        for each in rows[: SHOWN + 1]
    ]
    yield from _block(_("Open cases"), _("No case is open."), Case, user, lines)


def _letters(user: User) -> Iterator[Block]:
    lines = [
        Line(
            url=page_of(each),
            text=each.subject or each.get_kind_display(),
            detail=f"{each.address} · {each.get_state_display()}",
            at=each.created_at,
        )
        for each in Message.objects.filter(user=user).order_by("-id")[: SHOWN + 1]
    ]
    yield from _block(_("E-mails to them"), _("Nothing was written to them."), Message, user, lines)


_BLOCKS: tuple[tuple[type[Model], Callable[[User], Iterator[Block]]], ...] = (
    (Case, _cases),
    (Purse, _credits),
    (Subscription, _plans),
    (Payment, _payments),
    (Refund, _refunds),
    (Dispute, _disputes),
    (Invoice, _invoices),
    (Wallet, _wallets),
    (Message, _letters),
)
