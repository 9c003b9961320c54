"""What surrounds every page of the admin: the sidebar, the links of the operator's menu, the name and the picture."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from config import stripe_mirror

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sidebar: a model's list, shown to those who may view it."""

    title: Text
    icon: str
    model: str  # as in `auth.user`


# Later apps add their sections here, above the people.
SECTIONS: dict[Text, list[Entry]] = {
    _("Payments"): [
        Entry(_("Payments"), "payments", "billing.payment"),
        Entry(_("Refunds"), "undo", "billing.refund"),
        Entry(_("Invoices"), "receipt_long", "billing.invoice"),
        Entry(_("Drafts of invoices"), "edit_note", "billing.invoicedraft"),
        Entry(_("VAT numbers"), "verified", "billing.vatcheck"),
        Entry(_("Disputes"), "gavel", "billing.dispute"),
        Entry(_("Automatic top-ups"), "autorenew", "billing.topup"),
        Entry(_("Saved methods"), "credit_card", "billing.savedmethod"),
        Entry(_("Cases"), "assignment_late", "billing.case"),
        Entry(_("Exceptions of reconciliation"), "difference", "billing.discrepancy"),
        Entry(_("Reconciliations"), "balance", "billing.reconciliation"),
        Entry(_("Gateway events"), "inbox", "billing.gatewayletter"),
    ],
    _("Credits"): [
        Entry(_("Customers' credits"), "account_balance_wallet", "credits.purse"),
        Entry(_("Grants"), "redeem", "credits.grant"),
        Entry(_("Spends"), "shopping_bag", "credits.spend"),
        Entry(_("Holds"), "lock_clock", "credits.hold"),
        Entry(_("Grant schedules"), "calendar_month", "credits.grantschedule"),
        Entry(_("Grant periods"), "event_available", "credits.grantperiod"),
        Entry(_("Allowances of tokens"), "speed", "credits.allowance"),
    ],
    _("Figures"): [
        Entry(_("Figures"), "monitoring", "billing.figures"),
        Entry(_("Margins"), "trending_up", "billing.margin"),
    ],
    _("Sellers"): [
        Entry(_("Withdrawals"), "payments", "wallets.withdrawal"),
        Entry(_("Wallets"), "wallet", "wallets.wallet"),
        Entry(_("Sales"), "storefront", "wallets.sale"),
        Entry(_("Adjustments"), "tune", "wallets.adjustment"),
        Entry(_("Sellers"), "badge", "wallets.seller"),
        Entry(_("Commission rules"), "percent", "wallets.commissionrule"),
    ],
    _("Subscriptions"): [
        Entry(_("Subscriptions"), "autorenew", "billing.subscription"),
    ],
    _("Catalogue"): [
        Entry(_("Plans"), "loyalty", "billing.plan"),
        Entry(_("Packs"), "sell", "credits.pack"),
        Entry(_("Pack prices"), "price_change", "credits.packprice"),
        Entry(_("Coupons"), "local_activity", "billing.coupon"),
        Entry(_("Uses of coupons"), "redeem", "billing.redemption"),
        Entry(_("Costs"), "bolt", "credits.cost"),
        Entry(_("Tax rates"), "percent", "billing.taxrate"),
        Entry(_("Grant rules"), "event_repeat", "credits.grantrule"),
        Entry(_("Types of sales"), "category", "wallets.saletype"),
        Entry(_("Kinds of sellers"), "group", "wallets.sellerkind"),
    ],
    _("People"): [
        Entry(_("Customers"), "person", "billing.customer"),
        Entry(_("Accounts"), "group", "auth.user"),
        Entry(_("Groups"), "badge", "auth.group"),
        Entry(_("Second factors"), "phonelink_lock", "mfa.authenticator"),
    ],
    _("Books"): [
        Entry(_("Entries"), "menu_book", "ledger.entry"),
        Entry(_("Accounts of the books"), "account_balance", "ledger.account"),
        Entry(_("Holds in the books"), "lock", "ledger.hold"),
    ],
    _("What happened"): [
        Entry(_("Events"), "notifications", "events.event"),
        Entry(_("E-mails"), "mail", "events.message"),
        Entry(_("Deliveries"), "outbox", "events.delivery"),
        Entry(_("Webhook endpoints"), "webhook", "events.endpoint"),
    ],
    _("Machines"): [
        Entry(_("Gateways"), "hub", "billing.gatewaysetting"),
        Entry(_("Service tokens"), "key", "rest.servicetoken"),
    ],
    _("Traces"): [
        Entry(_("Audit log"), "history", "auditlog.logentry"),
    ],
}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    home = {"title": gettext("Home"), "icon": "home", "link": reverse("admin:index")}
    sections: list[dict[str, Any]] = [{"title": None, "items": [home]}]
    for title, entries in SECTIONS.items():
        sections.append({"title": title, "items": _allowed(request, entries)})
    sections.append({"title": _("Stripe mirror"), "collapsible": True, "items": _allowed(request, _stripe_entries())})
    return [section for section in sections if section["items"]]


def _allowed(request: HttpRequest, entries: list[Entry]) -> list[dict[str, Any]]:
    allowed = []
    for entry in entries:
        app, _dot, name = entry.model.partition(".")
        if apps.get_model(entry.model) in admin.site._registry and request.user.has_perm(f"{app}.view_{name}"):
            link = reverse(f"admin:{app}_{name}_changelist")
            allowed.append({"title": entry.title, "icon": entry.icon, "link": link})
    return allowed


def _stripe_entries() -> list[Entry]:
    models = stripe_mirror.mirrored_models()
    entries = [Entry(capfirst(str(model._meta.verbose_name_plural)), "", model._meta.label_lower) for model in models]
    return sorted(entries, key=lambda entry: str(entry.title))


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"title": _("Change password"), "link": reverse("account_change_password")},
        {"title": _("Second factor"), "link": reverse("mfa_index")},
    ]


def subheader(request: HttpRequest) -> str:
    """On every page: by which clock it tells times."""
    return gettext("Times in %(zone)s") % {"zone": settings.OPERATORS_TIME_ZONE}


def environment(request: HttpRequest) -> list[str] | None:
    """Say loudly when the money is not real."""
    names = {"development": gettext("Development"), "test": gettext("Test")}
    name = names.get(settings.APP_ENV)
    return [name, "warning"] if name else None


def icon(request: HttpRequest) -> str:
    return static("tirelire/logo.svg")


def favicon(request: HttpRequest) -> str:
    return static("tirelire/favicon.svg")


def stylesheet(request: HttpRequest) -> str:
    return static("tirelire/admin.css")
