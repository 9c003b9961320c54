"""The home page of the admin: one table of concerns that answers "what needs me?"."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import seller_days
from billing.models import Case, Invoice
from config import broker, needs
from config.needs import ROWS_SHOWN, Found, Need, Text
from config.second_factor import SECOND_FACTORS
from credits import purses
from credits.models import Hold, HoldState
from ledger.columns import rewritten, shown
from ledger.money import for_reader
from rest.models import ServiceToken
from wallets.models import Withdrawal, WithdrawalStatus

ACTS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A question that the home page asks on behalf of whoever has the permission."""

    title: Text
    permission: str
    find: Callable[[], Found]
    quiet: Text  # what is good about there being nothing
    urgency: str = "warning"  # or danger


def unprotected_operators() -> Found:
    factor = Authenticator.objects.filter(user=OuterRef("pk"), type__in=SECOND_FACTORS)
    people = User.objects.filter(~Exists(factor), is_staff=True, is_active=True).order_by("username")
    return Found(
        total=people.count(),
        first=[
            Need(label=person.username, detail=person.email, url=reverse("admin:auth_user_change", args=[person.pk]))
            for person in people[:ROWS_SHOWN]
        ],
        more_url=reverse("admin:auth_user_changelist") + "?who=operators",
    )


def expiring_tokens() -> Found:
    now = timezone.now()
    until = now + datetime.timedelta(days=settings.SERVICE_TOKEN_WARNING_DAYS)
    tokens = ServiceToken.objects.filter(revoked_at=None, expires_at__gt=now, expires_at__lte=until)
    return Found(
        total=tokens.count(),
        first=[
            Need(
                label=str(token),
                detail=_("expires"),
                at=token.expires_at,
                url=reverse("admin:rest_servicetoken_change", args=[token.pk]),
            )
            for token in tokens.order_by("expires_at")[:ROWS_SHOWN]
        ],
        more_url=reverse("admin:rest_servicetoken_changelist"),
    )


def overdue_invoices() -> Found:
    overdue = Invoice.objects.overdue(seller_days.today()).select_related("user")
    return Found(
        total=overdue.count(),
        first=[
            Need(
                label=f"{invoice.number} {invoice.user.get_username()}",
                detail=f"{for_reader(invoice.gross)}, {localize(invoice.due_on)}",
                url=reverse("admin:billing_invoice_change", args=[invoice.pk]),
            )
            for invoice in overdue.order_by("due_on")[:ROWS_SHOWN]
        ],
        more_url=reverse("admin:billing_invoice_changelist") + "?due=overdue",
    )


def debtors() -> Found:
    owing = purses.in_debt()
    first = owing.select_related("user", "debt_account").order_by("debt_account__balance")[:ROWS_SHOWN]
    return Found(
        total=owing.count(),
        first=[
            Need(
                label=purse.user.get_username(),
                detail=shown(purse.debt_account.balance, purse.unit) if purse.debt_account else "",
                url=reverse("admin:credits_purse_change", args=[purse.pk]),
            )
            for purse in first
        ],
        more_url=reverse("admin:credits_purse_changelist") + "?owes=yes",
    )


def stuck_holds() -> Found:
    """Holds that the sweep should have released by now: the worker is away, or cannot release them."""
    late = timezone.now() - datetime.timedelta(seconds=settings.CREDITS_HOLD_STUCK_SECONDS)
    stuck = Hold.objects.filter(state=HoldState.OPEN, expires_at__lt=late)
    first = stuck.select_related("purse__user").order_by("expires_at")[:ROWS_SHOWN]
    return Found(
        total=stuck.count(),
        first=[
            Need(
                label=hold.purse.user.get_username(),
                detail=shown(hold.amount, hold.purse.unit),
                at=hold.expires_at,
                url=reverse("admin:credits_hold_change", args=[hold.pk]),
            )
            for hold in first
        ],
        more_url=reverse("admin:credits_hold_changelist") + "?state__exact=open",
    )


def withdrawals_to_approve() -> Found:
    waiting = Withdrawal.objects.to_approve()
    first = waiting.select_related("wallet__seller__user").order_by("id")[:ROWS_SHOWN]
    return Found(
        total=waiting.count(),
        first=[
            Need(
                label=withdrawal.wallet.seller.user.get_username(),
                detail=for_reader(withdrawal.amount),
                at=withdrawal.created_at,
                url=reverse("admin:wallets_withdrawal_change", args=[withdrawal.pk]),
            )
            for withdrawal in first
        ],
        more_url=reverse("admin:wallets_withdrawal_changelist") + f"?status__exact={WithdrawalStatus.REQUESTED}",
    )


def open_cases() -> Found:
    """What the machine will not decide alone, of payments and of payouts; the oldest has waited longest."""
    waiting = Case.objects.open()
    return Found(
        total=waiting.count(),
        first=[
            Need(
                label=str(case.get_kind_display()),
                detail=rewritten(str(case.facts.get("why") or case.facts.get("amount") or "")),
                at=case.opened_at,
                url=reverse("admin:billing_case_change", args=[case.pk]),
            )
            for case in waiting.order_by("opened_at")[:ROWS_SHOWN]
        ],
        more_url=reverse("admin:billing_case_changelist") + "?open=yes",
    )


def silent_processes() -> Found:
    """The beat and the workers that have not been heard of; a job that nobody runs is seen here first."""
    try:
        ages = broker.heartbeat_ages()
    except redis.RedisError:
        ages = {gettext("Redis"): None}
    silent = {name: age for name, age in ages.items() if age is None or age > settings.HEARTBEAT_STALE_SECONDS}
    return Found(
        total=len(silent),
        first=[
            Need(label=name, detail=_("was not heard of"), url=reverse("health"))
            for name in sorted(silent)[:ROWS_SHOWN]
        ],
    )


# Later apps add their lines here, what is most urgent first.
CONCERNS = [
    Concern(
        title=_("Background processes that are silent"),
        permission="auditlog.view_logentry",
        find=silent_processes,
        quiet=_("The beat and the workers are well."),
        urgency="danger",
    ),
    Concern(
        title=_("Holds that should have ended"),
        permission="credits.view_hold",
        find=stuck_holds,
        quiet=_("Every hold ends in time."),
        urgency="danger",
    ),
    Concern(
        title=_("Cases to decide"),
        permission="billing.view_case",
        find=open_cases,
        quiet=_("No case waits for a decision."),
        urgency="danger",
    ),
    Concern(
        title=_("Gateway events that nobody could read"),
        permission="billing.view_gatewayletter",
        find=needs.unread_letters,
        quiet=_("Every event of a gateway was read."),
        urgency="danger",
    ),
    Concern(
        title=_("Refunds by hand that no case asks about"),
        permission="billing.prove_refund",
        find=needs.refunds_without_a_case,
        quiet=_("Every refund by hand has its case."),
        urgency="danger",
    ),
    Concern(
        title=_("Withdrawals to approve"),
        permission="wallets.approve_withdrawal",
        find=withdrawals_to_approve,
        quiet=_("No withdrawal waits for approval."),
    ),
    Concern(
        title=_("Adjustments that wait for a second person"),
        permission="wallets.adjust_wallet",
        find=needs.adjustments_to_agree_to,
        quiet=_("No adjustment waits for a second person."),
    ),
    Concern(
        title=_("Exceptions of reconciliation"),
        permission="billing.view_discrepancy",
        find=needs.open_discrepancies,
        quiet=_("The gateways' books and ours agree."),
    ),
    Concern(
        title=_("E-mails that did not go out"),
        permission="events.view_message",
        find=needs.failed_letters,
        quiet=_("Every e-mail of late went out."),
    ),
    Concern(
        title=_("Webhooks that nobody took"),
        permission="events.view_delivery",
        find=needs.dead_deliveries,
        quiet=_("Every webhook of late was taken."),
    ),
    Concern(
        title=_("Overdue invoices"),
        permission="billing.view_invoice",
        find=overdue_invoices,
        quiet=_("No invoice is overdue."),
    ),
    Concern(
        title=_("Customers in debt"),
        permission="credits.view_purse",
        find=debtors,
        quiet=_("No customer owes credits."),
    ),
    Concern(
        title=_("Service tokens that expire soon"),
        permission="rest.view_servicetoken",
        find=expiring_tokens,
        quiet=_("No service token expires in the next days."),
        urgency="danger",
    ),
    Concern(
        title=_("Operators without a second factor"),
        permission="auth.view_user",
        find=unprotected_operators,
        quiet=_("Every operator has a second factor."),
    ),
]


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    asked = [concern for concern in CONCERNS if request.user.has_perm(concern.permission)]
    answers = [(concern, concern.find()) for concern in asked]
    may_see_acts = request.user.has_perm("auditlog.view_logentry")
    return {
        **context,
        "needs": [(concern, found) for concern, found in answers if found.total],
        "quiet": [concern for concern, found in answers if not found.total],
        "shows_acts": may_see_acts,
        "acts": _recent_acts() if may_see_acts else [],
    }


def _recent_acts() -> list[LogEntry]:
    """What was done in this admin, by a form or by a button; the audit log has the fields that this changed."""
    return list(LogEntry.objects.select_related("user", "content_type").order_by("-action_time", "-pk")[:ACTS_SHOWN])
