"""The customer's own page of their credits: how they stand, what expires next, and what happened, page by page."""

from typing import Any
from uuid import UUID

from babel.numbers import format_decimal
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import get_language, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from billing import customers, pages
from billing.models import Payment
from billing.models.payments import PaymentKind, PaymentStatus
from credits import balances, costs, history, packs, unit_names
from credits.history import Transaction
from credits.models import Grant, GrantSource, Purse
from ledger.money import CREDIT
from storefront.signed_in import SignedIn

ROWS = 20
NEXT_EXPIRIES = 5
KINDS: dict[str, Promise] = {
    "credits.grant": _("Received"),
    "credits.spend": _("Used"),
    "credits.reversal": _("Given back"),
    "credits.expiry": pgettext_lazy("history", "Expired"),
    "credits.revocation": _("Taken back"),
    "credits.adjustment": _("Corrected"),
    "credits.repayment": _("Repaid what was owed"),
}
SOURCES: dict[str, Promise] = {
    GrantSource.PACK: _("Pack bought"),
    GrantSource.BONUS: _("Bonus of a pack"),
    GrantSource.PLAN: _("From your plan"),
    GrantSource.PROMOTION: _("Promotion"),
    GrantSource.MANUAL: _("Given by us"),
    GrantSource.REFERRAL: _("For a recommendation"),
    GrantSource.REVERSAL: _("Given back"),
}


class CreditsView(SignedIn):
    http_method_names = ["get", "head"]
    came_from = "credits-page"

    def get(self, request: HttpRequest) -> HttpResponse:
        units = _units(self.customer)
        unit, before = request.GET.get("unit", units[0] if units else CREDIT), _edge(request)
        if units and unit not in units:
            raise Http404
        found = history.transactions(user=self.customer, unit=unit, before=before, limit=ROWS + 1)
        context = {
            "units": units,
            "unit": unit,
            "standing": _standing(self.customer, unit) if units else None,
            "time_zone": customers.get(self.customer).time_zone,
            "rows": _rows(found[:ROWS]),
            "older": found[ROWS - 1].id if len(found) > ROWS else None,
            "before": before,
            "waiting": _waiting(self.customer),
        }
        template = "storefront/credits_part.html" if "part" in request.GET else "storefront/credits.html"
        return render(request, template, context)


def _units(customer: User) -> list[str]:
    return list(Purse.objects.filter(user=customer).order_by("unit").values_list("unit", flat=True))


def _edge(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.GET["before"]) if "before" in request.GET else None
    except ValueError:
        raise Http404 from None


def _standing(customer: User, unit: str) -> dict[str, Any]:
    balance = balances.of(customer, unit)
    ending: dict[Any, int] = {}
    for grant in balance.grants:
        if grant.expires_at and grant.available and not grant.is_frozen:
            ending[grant.expires_at] = ending.get(grant.expires_at, 0) + grant.available
    frozen = sum(grant.available for grant in balance.grants if grant.is_frozen)
    return {
        "state": balance.state,
        "is_unlimited": balance.is_unlimited,
        "available": unit_names.counted(balance.available, unit),
        "held": unit_names.counted(balance.held, unit) if balance.held else "",
        "frozen": unit_names.counted(frozen, unit) if frozen else "",
        "owed": unit_names.counted(balance.owed, unit) if balance.owed else "",
        "expiries": [(at, unit_names.counted(ending[at], unit)) for at in sorted(ending)[:NEXT_EXPIRIES]],
        "sells_packs": bool(packs.on_sale(unit=unit)),
    }


def _rows(found: list[Transaction]) -> list[dict[str, Any]]:
    born = dict(Grant.objects.filter(entry__in=[each.id for each in found]).values_list("entry_id", "source"))
    labels = {cost.action: cost.label for cost in costs.current()}
    return [
        {
            "at": each.at,
            "what": SOURCES.get(born.get(each.id, "")) or KINDS.get(each.kind, each.kind),
            "for_what": labels.get(each.action, each.action) or each.reference,
            "change": _signed(each.change),
            "metered": _signed(-each.metered) if each.metered else "",
        }
        for each in found
    ]


def _signed(change: int) -> str:
    """With a true minus sign, and a plus where something came."""
    number = str(format_decimal(abs(change), locale=get_language() or "en"))
    return number if change == 0 else ("+" if change > 0 else "−") + number  # noqa: RUF001


def _waiting(customer: User) -> dict[str, Any] | None:
    """The pack that was bought last, while a gateway may still take it: the page looks often until it is there."""
    last = Payment.objects.of(customer).filter(kind=PaymentKind.PACK).order_by("-id").first()
    if last is None or last.status != PaymentStatus.PENDING or last.expires_at <= timezone.now():
        return None
    return {"what": last.description, "pay_url": pages.page_of(last)}
