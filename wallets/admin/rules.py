"""Commission rules, types of sales and kinds of sellers. A rule is switched off, never deleted: sales refer to it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import PaginationInlineFormSet

from ledger import columns, money
from wallets.admin.amount_forms import AmountsAdmin, AmountsForm, MinorField
from wallets.admin.shared import percent
from wallets.models import CommissionRule, CommissionTier, SaleType, SellerKind


class RuleForm(AmountsForm):
    fixed_minor = MinorField(label=_("fixed part"), empty=0, help_text=_("Added to the percentage."))
    minimum_minor = MinorField(
        label=_("minimum"), help_text=_("We keep at least this much of a sale. Empty: no minimum.")
    )
    maximum_minor = MinorField(
        label=_("maximum"), help_text=_("We keep at most this much of a sale. Empty: no maximum.")
    )
    debt_limit_minor = MinorField(
        label=_("debt limit"),
        empty=0,
        help_text=_("How much a seller may owe us. Zero, unless the seller owes such refunds."),
    )

    class Meta:
        model = CommissionRule
        fields = (
            "code", "sale_type", "seller_kind", "seller", "currency", "valid_from", "valid_until", "basis_points",
            "fixed_minor", "minimum_minor", "maximum_minor", "clearing_days", "when_withdrawn", "debt_limit_minor",
            "is_active",
        )  # fmt: skip
        help_texts = {
            "code": _("What sales call it. It never changes."),
            "sale_type": _("Empty: of every type. Of all rules that fit a sale the most specific one counts."),
            "seller_kind": _("Empty: of every kind."),
            "seller": _("Empty: of everybody."),
            "currency": _("An ISO 4217 code. Empty: of all, and then the rule is a percentage alone."),
            "valid_from": _("Sales keep the terms that they were made by."),
            "valid_until": _("Empty: until it is switched off."),
            "when_withdrawn": _("What happens when a buyer wants back what the seller has already been paid."),
            "is_active": _("Off: later sales go by other rules."),
        }

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).upper()
        if currency and not money.is_currency(currency):
            raise forms.ValidationError(gettext("This is no currency of ISO 4217."))
        return currency


class TierForms(PaginationInlineFormSet):
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "rule": self.instance}

    def clean(self) -> None:
        super().clean()
        kept = [form for form in self.forms if form.has_changed() or form.instance.pk]
        if any(form not in self.deleted_forms for form in kept) and not self.instance.currency:
            raise forms.ValidationError(
                gettext("Tiers count what was sold in one currency: give the rule a currency, or remove its tiers.")
            )


class TierForm(AmountsForm):
    from_volume_minor = MinorField(
        label=_("from a monthly volume"),
        required=True,
        help_text=_("What the seller has sold in the same month of UTC."),
    )

    class Meta:
        help_texts = {"basis_points": _("1000 is ten percent.")}

    def __init__(self, *arguments: Any, rule: CommissionRule, **named: Any) -> None:
        self.rule, self.currency_before = rule, rule.currency  # the form of the rule may choose another
        super().__init__(*arguments, **named)

    def unit_before(self) -> str:
        return self.currency_before

    def unit_chosen(self) -> str:
        return self.rule.currency

    def has_changed(self) -> bool:
        """The same figures are another amount in another currency."""
        is_other = self.instance.pk is not None and self.rule.currency != self.currency_before
        return is_other or super().has_changed()


class TierInline(AmountsAdmin, TabularInline):  # type: ignore[misc]
    model = CommissionTier
    form = TierForm
    formset = TierForms
    fields = ("from_volume_minor", "basis_points")
    amounts = {"from_volume_minor": "from_volume"}
    from_volume = columns.amount("from_volume_minor", _("from a monthly volume"), unit="rule.currency")
    extra = 0
    tab = False
    hide_title = True  # the row says it already


@admin.register(CommissionRule)
class CommissionRuleAdmin(AmountsAdmin, ModelAdmin):  # type: ignore[misc]
    form = RuleForm
    fields = RuleForm.Meta.fields
    list_display = (
        "code", "sale_type", "seller_kind", "seller", "currency", "percent_shown", "valid_from", "is_active",
    )  # fmt: skip
    list_filter = ("is_active", "sale_type", "seller_kind", "currency", "catalogue")
    list_select_related = ("sale_type", "seller_kind", "seller__user")
    search_fields = ("code", "seller__user__username")
    ordering = ("code",)
    autocomplete_fields = ("seller",)
    inlines = (TierInline,)
    amounts = {
        "fixed_minor": "fixed",
        "minimum_minor": "minimum",
        "maximum_minor": "maximum",
        "debt_limit_minor": "debt_limit",
    }
    fixed = columns.amount("fixed_minor", _("fixed part"))
    minimum = columns.amount("minimum_minor", _("minimum"))
    maximum = columns.amount("maximum_minor", _("maximum"))
    debt_limit = columns.amount("debt_limit_minor", _("debt limit"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), *(("code",) if obj else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("percent"), ordering="basis_points")
    def percent_shown(self, rule: CommissionRule) -> str:
        return percent(rule.basis_points)


class FromTheCatalogue(ModelAdmin):
    """Written in a catalogue file, and read here."""

    list_display: Any = ("code", "label_en", "label_fr", "catalogue", "is_active")
    ordering = ("code",)
    search_fields = ("code",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SaleType)
class SaleTypeAdmin(FromTheCatalogue):
    list_display = ("code", "label_en", "label_fr", "minimum", "catalogue", "is_active")


@admin.register(SellerKind)
class SellerKindAdmin(FromTheCatalogue):
    pass
