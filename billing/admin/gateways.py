"""Gateways as operators see them: what they choose, what each can do, how it is, and which credentials it has."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import breaker, gateway_choices
from billing.gateways import registry, titles
from billing.gateways.base import Capabilities
from billing.models import GatewaySetting, GatewayTerms
from billing.routing import Health
from ledger import columns
from rest.labels import display
from wallets.admin.amount_forms import AmountsAdmin, AmountsForm, MinorField

ABILITIES: dict[str, str | Promise] = {
    "refund": _("refunds"),
    "partial_refund": _("partial refunds"),
    "cancel": _("cancelling"),
    "saved_methods": _("saved cards"),
    "recurring": _("renewals"),
}


def capabilities(name: str) -> Capabilities | None:
    return registry.get(name).capabilities if name in registry.BUILDERS else None


class GatewaySettingForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a gateway does not take cannot be chosen: payments would only find out later."""

    class Meta:
        widgets = {"currencies": UnfoldAdminTextInputWidget, "countries": UnfoldAdminTextInputWidget}

    def clean_currencies(self) -> list[str]:
        able = capabilities(self.instance.name)
        return self._within("currencies", frozenset(able.currencies) if able else None)

    def clean_countries(self) -> list[str]:
        able = capabilities(self.instance.name)
        return self._within("countries", able.countries or None if able else None)

    def _within(self, field: str, possible: frozenset[str] | None) -> list[str]:
        chosen: list[str] = sorted(set(self.cleaned_data[field]))
        if possible is not None and (strange := [code for code in chosen if code not in possible]):
            said = gettext("The gateway does not take: %(codes)s.") % {"codes": ", ".join(strange)}
            raise forms.ValidationError(said, code="not_taken")
        return chosen


class GatewayTermsForm(AmountsForm):
    minimum_minor = MinorField(
        label=_("minimum"), help_text=_("Smaller payments are not sent to it. Empty: the gateway's own minimum.")
    )
    maximum_minor = MinorField(
        label=_("maximum"), help_text=_("Larger payments are not sent to it. Empty: the gateway's own maximum.")
    )
    fixed_cost_minor = MinorField(
        label=_("fixed cost of a payment"),
        empty=0,
        help_text=_("What the gateway keeps of a payment besides its share, such as 0.25 of EUR or 25 of XOF."),
    )

    class Meta:
        help_texts = {"currency": _("An ISO 4217 code that the gateway takes.")}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        able = capabilities(self.instance.gateway_id or "")
        currency = cleaned.get("currency")
        if able is not None and currency and currency not in able.currencies:
            said = gettext("The gateway does not take: %(codes)s.") % {"codes": currency}
            self.add_error("currency", forms.ValidationError(said, code="not_taken"))
        return cleaned


class GatewayTermsInline(AmountsAdmin, TabularInline):  # type: ignore[misc]
    model = GatewayTerms
    form = GatewayTermsForm
    fields = ("currency", "minimum_minor", "maximum_minor", "fixed_cost_minor")
    amounts = {"minimum_minor": "minimum", "maximum_minor": "maximum", "fixed_cost_minor": "fixed_cost"}
    minimum = columns.amount("minimum_minor", _("minimum"))
    maximum = columns.amount("maximum_minor", _("maximum"))
    fixed_cost = columns.amount("fixed_cost_minor", _("fixed cost of a payment"))
    extra = 0
    tab = False
    hide_title = True  # the row says it already


@admin.register(GatewaySetting)
class GatewaySettingAdmin(ModelAdmin):
    form = GatewaySettingForm
    list_display = ("title", "state", "is_enabled", "priority", "limits", "cost_basis_points")
    fieldsets = (
        (None, {"fields": ("title", "state", "is_enabled", "priority")}),
        (_("Limits"), {"fields": ("currencies", "countries", "cost_basis_points")}),
        (_("What it can do"), {"fields": ("abilities", "own_limits")}),
        (_("Credentials"), {"fields": ("credentials", "missing")}),
    )
    readonly_fields = ("title", "state", "abilities", "own_limits", "credentials", "missing")
    inlines = (GatewayTermsInline,)
    ordering = ("priority", "name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[GatewaySetting]:
        gateway_choices.make_rows()
        return super().get_queryset(request).filter(name__in=registry.BUILDERS).prefetch_related("terms")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: GatewaySetting | None = None) -> bool:
        return False

    @admin.display(description=_("gateway"), ordering="name")
    def title(self, row: GatewaySetting) -> str:
        return titles.of(row.name)

    @display(
        description=_("state"),
        label={
            "available": "success",
            "recovering": "warning",
            "unavailable": "danger",
            "not_configured": "info",
            "disabled": "info",
        },
    )
    def state(self, row: GatewaySetting) -> tuple[str, str]:
        if registry.get(row.name).missing_settings():
            return "not_configured", gettext("not configured")
        if not row.is_enabled:
            return "disabled", gettext("switched off")
        match breaker.states([row.name])[row.name]:
            case Health.OPEN:
                return "unavailable", gettext("stopped: it failed too often")
            case Health.HALF_OPEN:
                return "recovering", gettext("being tried again")
            case Health.CLOSED:
                return "available", gettext("available")

    @admin.display(description=_("limits"))
    def limits(self, row: GatewaySetting) -> str:
        parts = [", ".join(row.currencies), ", ".join(row.countries)]
        parts += [_range(terms.currency, terms.minimum_minor, terms.maximum_minor) for terms in row.terms.all()]
        return " · ".join(part for part in parts if part) or gettext("the gateway's own")

    @admin.display(description=_("can"))
    def abilities(self, row: GatewaySetting) -> str:
        able = registry.get(row.name).capabilities
        return ", ".join(str(text) for name, text in ABILITIES.items() if getattr(able, name)) or "-"

    @admin.display(description=_("the gateway's own limits"))
    def own_limits(self, row: GatewaySetting) -> str:
        rules = registry.get(row.name).capabilities.currencies
        shown = [_range(currency, rule.minimum_minor, rule.maximum_minor) for currency, rule in sorted(rules.items())]
        return format_html_join(" ", "<div>{}</div>", ((text,) for text in shown))

    @admin.display(description=_("in the environment"))
    def credentials(self, row: GatewaySetting) -> str:
        found = gateway_choices.credentials(row.name)
        lines = ((each.name, each.shown or gettext("not set")) for each in found)
        return format_html_join("", "<div><code>{}</code> {}</div>", lines)

    @admin.display(description=_("missing"))
    def missing(self, row: GatewaySetting) -> str:
        return ", ".join(registry.get(row.name).missing_settings()) or "-"


def _range(currency: str, minimum_minor: int | None, maximum_minor: int | None) -> str:
    ends = [columns.shown(minor, currency) if minor is not None else "" for minor in (minimum_minor, maximum_minor)]
    return f"{currency}: {ends[0]} … {ends[1]}"
