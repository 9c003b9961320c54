"""Consents to automatic top-ups, with the charges that came of them; operators may only switch one off."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import action

from billing import top_up
from billing.admin.acts import BillingActsAdmin
from billing.models import TopUp, TopUpCharge
from credits.admin.acts import ActForm, ReasonForm, operator
from rest.labels import display

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
        "monthly_cap_minor",
        "currency",
        "state",
        "declines",
        "next_try_at",
    )
    list_filter = ("suspended_for", ("withdrawn_at", admin.EmptyFieldListFilter))
    list_select_related = ("user", "pack")
    search_fields = ("user__username",)
    ordering = ("-id",)
    inlines = (ChargeInline,)
    actions_detail = ("withdraw",)  # type: ignore[assignment]  # unfold means any tuple
    fields = (
        "customer", "state", "pack", "currency", "price_minor", "threshold", "monthly_cap_minor", "consent",
        "consent_by", "consented_at", "withdrawn_at", "withdrawn_by", "declines", "suspended_at", "suspended_for",
        "next_try_at",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, row: TopUp) -> str:
        return str(row.user.get_username())

    @display(description=_("state"), label=LABELS)
    def state(self, row: TopUp) -> tuple[str, str]:
        if row.withdrawn_at is not None:
            return "off", gettext("off")
        if row.suspended_at is not None:
            return "suspended", gettext("suspended")
        return "on", gettext("on")

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
