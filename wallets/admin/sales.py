"""Sales and what was taken back of them: read, never changed here."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from ledger import columns
from ledger.columns import shown
from wallets.admin.shared import OfWallets, of_currency, percent
from wallets.models import Sale, TakeBack, WhenWithdrawn


class TakeBackInline(TabularInline):
    model = TakeBack
    fields = (
        "created_at", "kind", "state", "price", "commission", "pending", "reserve", "available", "debt", "cost",
        "reason", "by", "resolved_at",
    )  # fmt: skip
    readonly_fields = fields
    price = columns.amount("price_minor", _("price"), unit="sale.currency")
    commission = columns.amount("commission_minor", _("commission"), unit="sale.currency")
    pending = columns.amount("pending_minor", _("from what had not cleared"), unit="sale.currency")
    reserve = columns.amount("reserve_minor", _("from the reserve"), unit="sale.currency")
    available = columns.amount("available_minor", _("from the available"), unit="sale.currency")
    debt = columns.amount("debt_minor", _("owed by the seller"), unit="sale.currency")
    cost = columns.amount("cost_minor", _("borne by us"), unit="sale.currency")
    ordering = ("id",)
    extra = 0
    can_delete = False
    tab = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Sale)
class SaleAdmin(OfWallets):
    list_display = ("seller", "type", "reference", "price", "commission", "net", "taken", "releases_at", "released_at")
    list_display_links = ("type",)
    list_filter = ("type", ("wallet__currency", of_currency), ("released_at", admin.EmptyFieldListFilter))
    list_select_related = ("wallet__seller__user", "type")
    found_by_words = ("payment_key",)
    found_lately_by = ("reference",)
    search_help_text = _("An id of the sale or its payment, a seller, or the reference of a recent one.")
    ordering = ("-id",)
    inlines = (TakeBackInline,)
    fields = (
        "id", "seller", "type", "reference", "description", "payment_key", "gateway", "price", "commission", "net",
        "taken", "rule", "why", "terms_shown", "when_withdrawn", "created_at", "releases_at", "released_at",
        "reserved", "reserved_until",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("price"), ordering="price_minor")
    def price(self, sale: Sale) -> str:
        return shown(sale.price_minor, sale.currency)

    @admin.display(description=_("commission"))
    def commission(self, sale: Sale) -> str:
        return shown(sale.commission_minor, sale.currency)

    @admin.display(description=_("net"))
    def net(self, sale: Sale) -> str:
        return shown(sale.net_minor, sale.currency)

    @admin.display(description=_("taken back"))
    def taken(self, sale: Sale) -> str:
        return shown(sale.taken_price_minor, sale.currency)

    @admin.display(description=_("in reserve"))
    def reserved(self, sale: Sale) -> str:
        return shown(sale.reserved_minor, sale.currency)

    @admin.display(description=_("why this rule"))
    def why(self, sale: Sale) -> str:
        choice = sale.choice
        if choice.get("rule") is None:
            return gettext("No rule fitted: the setting WALLETS_COMMISSION_BASIS_POINTS.")
        asks, before = ", ".join(choice["because"]) or "-", ", ".join(choice["before"]) or "-"
        said = gettext("%(rule)s asks for %(asks)s; it goes before %(before)s.")
        return said % {"rule": choice["rule"], "asks": asks, "before": before}

    @admin.display(description=_("its terms on that day"))
    def terms_shown(self, sale: Sale) -> str:
        return format_html_join("", "<div>{}</div>", ((line,) for line in _terms(sale.terms, sale.currency)))


def _terms(terms: dict[str, Any], currency: str) -> Iterator[str]:
    """Only what the rule says: a rule without a maximum has no line about one."""
    yield percent(terms["basis_points"])
    amounts = {
        "fixed_minor": gettext("fixed part: %(amount)s"),
        "minimum_minor": gettext("at least %(amount)s"),
        "maximum_minor": gettext("at most %(amount)s"),
    }
    for name, sentence in amounts.items():
        if terms.get(name):
            yield sentence % {"amount": shown(terms[name], currency)}
    for volume, points in terms.get("tiers", []):
        facts = {"volume": shown(volume, currency), "percent": percent(points)}
        yield gettext("from %(volume)s sold in the month on: %(percent)s") % facts
    days = terms["clearing_days"]
    yield ngettext("clears after %(days)s day", "clears after %(days)s days", days) % {"days": days}
    yield gettext("refund after a withdrawal: %(what)s") % {"what": WhenWithdrawn(terms["when_withdrawn"]).label}
    if terms.get("debt_limit_minor"):
        yield gettext("debt limit: %(amount)s") % {"amount": shown(terms["debt_limit_minor"], currency)}
