"""Consents to automatic top-ups, with the charges that came of them, and the cards that they are charged to.

Operators can switch one off and remove a card; only customers add and agree.
"""

import logging
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from billing import method_removals, top_up
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import of_gateway
from billing.models import MethodSetup, SavedMethod, TopUp, TopUpCharge
from credits.admin.acts import ActForm, ReasonForm, operator
from ledger import columns
from rest.labels import display
from rest.lists import person

logger = logging.getLogger(__name__)
LABELS = {"on": "success", "suspended": "warning", "off": "info"}


class ChargeInline(TabularInline):
    model = TopUpCharge
    fields = ("payment", "method", "started_at", "settled_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(TopUp)
class TopUpAdmin(BillingActsAdmin):
    list_display = (
        "customer",
        "pack",
        "threshold",
        "monthly_cap",
        "state",
        "declines",
        "next_try_at",
    )
    list_display_links = ("pack",)
    list_filter = ("suspended_for", ("withdrawn_at", admin.EmptyFieldListFilter))
    list_select_related = ("user", "pack")
    found_by_ids = ("pk",)
    found_by_people = ("user",)
    ordering = ("-id",)
    inlines = (ChargeInline,)
    actions_detail = ("withdraw",)  # type: ignore[assignment]  # unfold means any tuple
    shown_for = {"withdraw": lambda row: row.withdrawn_at is None}
    fields = (
        "customer", "state", "pack", "price", "credits", "threshold", "monthly_cap", "consent", "consent_by",
        "consented_at", "withdrawn_at", "withdrawn_by", "declines", "suspended_at", "suspended_for",
        "next_try_at",
    )  # fmt: skip
    readonly_fields = fields
    price = columns.amount("price_minor", _("agreed price"))
    monthly_cap = columns.amount("monthly_cap_minor", _("monthly cap"))

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, row: TopUp) -> SafeString:
        return person(row.user)

    @display(description=_("state"), label=LABELS)
    def state(self, row: TopUp) -> tuple[str, str]:
        if row.withdrawn_at is not None:
            return "off", gettext("off")
        if row.suspended_at is not None:
            return "suspended", gettext("suspended")
        return "on", pgettext("top-up", "on")

    @action(description=_("Switch off"), url_path="withdraw", permissions=["change_consent"], icon="power_settings_new")  # type: ignore[arg-type, operator]
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.found(request, object_id)

        def do(form: ActForm) -> str:
            by = f"{operator(request).get_username()}: {form.facts['reason']}"
            top_up.withdraw(user=row.user, by=by[:300])
            return gettext("The automatic top-up is switched off.")

        return self.act(
            request,
            row,
            form=ReasonForm,
            title=gettext("Switch off"),
            says=gettext(
                "The customer is not charged any more, until they agree anew. A charge under way is finished."
            ),
            do=do,
        )


class SetupInline(TabularInline):
    model = MethodSetup
    fields = ("id", "state", "failure_code", "created_at", "ended_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SavedMethod)
class SavedMethodAdmin(BillingActsAdmin):
    list_display = ("customer", "gateway", "brand", "last4", "expires", "saved_at", "removed_at", "forgotten_at")
    list_display_links = ("gateway",)
    list_filter = (
        ("gateway", of_gateway),
        ("removed_at", admin.EmptyFieldListFilter),
        ("forgotten_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("user",)
    found_by_people = ("user",)
    found_lately_by = ("gateway_id", "last4")
    search_help_text = _("A customer; of the latest cards also the last four digits, or the id at the gateway.")
    ordering = ("-id",)
    inlines = (SetupInline,)
    actions_detail = ("remove",)  # type: ignore[assignment]
    shown_for = {"remove": lambda row: row.removed_at is None}
    fields = (
        "customer", "gateway", "gateway_id", "kind", "brand", "last4", "expires", "saved_at", "removed_at",
        "forgotten_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, row: SavedMethod) -> SafeString:
        return person(row.user)

    @action(description=_("Remove"), url_path="remove", permissions=["manage_method"], icon="credit_card_off")  # type: ignore[arg-type, operator]
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Any = self.found(request, object_id)

        def preview(form: ActForm) -> list[str]:
            removal = method_removals.preview(row)
            if removal.stops_top_up:
                return [gettext("The automatic top-up stops, until the customer adds another card.")]
            if removal.goes_on_with is not None:
                return [gettext("The automatic top-up is charged to %(method)s.") % {"method": removal.goes_on_with}]
            return [gettext("Nothing is charged to it by itself, so nothing stops.")]

        def do(form: ActForm) -> str:
            method_removals.remove(method=row)
            by = operator(request).pk
            logger.info("saved_method.removed", extra={"method": row.pk, "by": by, "reason": form.facts["reason"]})
            return gettext("The card is removed: %(reason)s") % form.facts

        return self.act(
            request,
            row,
            form=ReasonForm,
            title=gettext("Remove the card"),
            says=gettext("Nothing is charged to it any more, and its gateway forgets it."),
            do=do,
            preview=preview,
        )
