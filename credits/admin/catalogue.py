"""The catalogue as operators see it. A price or a cost is never edited: a form adds its next version."""

from dataclasses import fields
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from credits import costs, packs, payable
from credits.admin.refusal_words import WORDS
from credits.costs import Terms
from credits.errors import AmountNotPayable
from credits.models import Cost, CostKind, GrantRule, Pack, PackPrice
from ledger import money
from ledger.errors import LedgerError
from ledger.money import Money, for_reader
from rest.acts import words_of

TERMS = [field.name for field in fields(Terms)]
SEEDED = _("Seeding this catalogue's file puts everything back as the file says.")
IN_ENGLISH = _("Empty: the English text.")
UNIT = _("Which credits: CREDIT, unless the catalogue has units of its own.")


def shown(price: PackPrice) -> str:
    return for_reader(Money(price.amount_minor, price.currency))


class VersionForm(forms.ModelForm):  # type: ignore[type-arg]
    """What every form of a new version refuses: a beginning in the past. Empty means now."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "valid_from" in self.fields:
            self.fields["valid_from"].required = False
            self.fields["valid_from"].help_text = gettext("Empty means now. History is never changed.")

    def clean_valid_from(self) -> Any:
        valid_from = self.cleaned_data.get("valid_from")
        if valid_from and valid_from < timezone.now():
            raise forms.ValidationError(_("A new version cannot begin in the past."))
        return valid_from

    def _get_validation_exclusions(self) -> set[str]:
        return {*super()._get_validation_exclusions(), "valid_from"}  # type: ignore[misc]  # Django's own, untyped


class VersionAdmin(ModelAdmin):
    """Versions are added and read. `actions_detail` leads to the next one, filled in with what holds now."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# ---------------------------------------------------------------- packs and their prices


class PackPriceInline(TabularInline):
    model = PackPrice
    fields = ("currency", "price", "is_active", "valid_from", "created_by")
    readonly_fields = fields
    ordering = ("currency", "-valid_from")
    extra = 0
    can_delete = False
    tab = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[PackPrice]:
        return super().get_queryset(request).select_related("created_by")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description=_("price"))
    def price(self, price: PackPrice) -> str:
        return shown(price)


class PackForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "code": _("What applications and catalogue files call it. It never changes."),
            "catalogue": SEEDED,
            "name_fr": IN_ENGLISH,
            "description_fr": IN_ENGLISH,
            "unit": UNIT,
            "credits": _("Without the bonus."),
            "bonus": _("Given on top, as a grant of its own."),
            "expires_after_days": _("Counted from the purchase. Empty: never."),
            "bonus_expires_after_days": _("Counted from the purchase. Empty: never."),
            "position": _("The smallest stands first where packs are shown."),
            "is_active": _("Off: nobody can buy it. Credits that were bought stay."),
        }


@admin.register(Pack)
class PackAdmin(ModelAdmin):
    form = PackForm
    list_display = ("code", "catalogue", "name", "credits", "bonus", "prices_now", "is_active")
    list_filter = ("catalogue", "is_active", "unit")
    search_fields = ("code", "name_en", "name_fr")
    ordering = ("catalogue", "position", "code")
    inlines = (PackPriceInline,)
    actions_detail = ("new_price",)  # type: ignore[assignment]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        # Others know a pack by its code, and a file knows its catalogue.
        return ("code", "catalogue", "unit") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pack]:
        return super().get_queryset(request).prefetch_related("prices")

    @admin.display(description=_("name"))
    def name(self, pack: Pack) -> str:
        return pack.name

    @admin.display(description=_("prices now"))
    def prices_now(self, pack: Pack) -> str:
        now = timezone.now()
        valid: dict[str, PackPrice] = {}
        for price in sorted(pack.prices.all(), key=lambda each: each.valid_from):
            if price.valid_from <= now:
                valid[price.currency] = price
        return ", ".join(shown(valid[currency]) for currency in sorted(valid) if valid[currency].is_active) or "-"

    # By a method and not by its name: unfold would look the name up in the database while checking the settings.
    def has_new_price_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("credits.add_packprice")

    @action(description=_("New price"), url_path="new-price", permissions=["new_price"])  # type: ignore[operator, arg-type]
    def new_price(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:credits_packprice_add')}?{urlencode({'pack': object_id})}")


class PackPriceForm(VersionForm):
    amount = forms.CharField(
        label=_("price"),
        help_text=_("A decimal amount such as 9.99, with no more decimals than the currency has."),
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = PackPrice
        fields = ("pack", "currency", "amount", "valid_from")
        help_texts = {"currency": _("An ISO 4217 code, such as EUR or XOF.")}

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).upper()
        if not money.is_currency(currency):
            raise forms.ValidationError(_("This is no currency of ISO 4217."))
        return currency

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"amount", "currency"} <= cleaned.keys():
            try:
                price = money.as_written(cleaned["amount"], cleaned["currency"])
                if price.minor <= 0:
                    self.add_error("amount", gettext("The price must be above zero."))
                payable.require(price)
            except (LedgerError, AmountNotPayable) as error:
                self.add_error("amount", words_of(error, WORDS))
            else:
                self.instance.amount_minor = price.minor
        return cleaned


@admin.register(PackPrice)
class PackPriceAdmin(VersionAdmin):
    form = PackPriceForm
    list_display = ("pack", "price", "is_active", "valid_from", "created_by")
    list_filter = ("currency", "pack__catalogue")
    list_select_related = ("pack", "created_by")
    search_fields = ("pack__code",)
    ordering = ("pack", "currency", "-valid_from")
    readonly_fields = ("created_by",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("pack", "currency", "amount", "valid_from")
        return ("pack", "price", "is_active", "valid_from", "created_at", "created_by")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    @admin.display(description=_("price"))
    def price(self, price: PackPrice) -> str:
        return shown(price)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = packs.set_price(
            pack=obj.pack,
            price=Money(obj.amount_minor, form.cleaned_data["currency"]),
            valid_from=form.cleaned_data["valid_from"],
            by=cast("User", request.user),
        )
        obj.pk, obj.valid_from = made.pk, made.valid_from


# ---------------------------------------------------------------- costs


class CostForm(VersionForm):
    class Meta:
        model = Cost
        fields = ("action", *TERMS, "valid_from")
        help_texts = {
            "action": _("What applications name when they spend."),
            "catalogue": SEEDED,
            "kind": _(
                "Per unit: times the quantity that is sent. Between: the application says how much, within both."
            ),
            "label_fr": IN_ENGLISH,
            "amount": _("Of each use, or of each unit. Empty for a cost between two amounts."),
            "minimum": _("Only for a cost between two amounts."),
            "maximum": _("Only for a cost between two amounts; holds take this much until the cost is known."),
            "unit": UNIT,
            "real_cost_micros": _("What one use costs the shop: 40000 is 0.04. Customers never see it."),
            "real_cost_currency": _("An ISO 4217 code. Empty where no real cost is given."),
            "is_active": _("Off: the action cannot be used any more."),
        }

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        between = cleaned.get("kind") == CostKind.BETWEEN
        wanted = {"amount": not between, "minimum": between, "maximum": between}
        for name, needed in wanted.items():
            if name in cleaned and (cleaned[name] is not None) != needed:
                said = gettext("This kind of cost needs it.") if needed else gettext("This kind of cost has none.")
                self.add_error(name, said)
        last = Cost.objects.filter(action=cleaned.get("action")).first()
        if last and cleaned.get("catalogue") not in (None, last.catalogue):
            self.add_error(
                "catalogue", gettext("The action belongs to the catalogue %(name)s.") % {"name": last.catalogue}
            )
        return cleaned


@admin.register(Cost)
class CostAdmin(VersionAdmin):
    form = CostForm
    list_display = ("action", "version", "valid_from", "kind", "said", "is_active", "real_cost", "catalogue")
    list_filter = ("catalogue", "kind", "is_active")
    search_fields = ("action", "label_en", "label_fr")
    ordering = ("action", "-version")
    list_select_related = ("created_by",)
    actions_detail = ("new_version",)  # type: ignore[assignment]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("action", *TERMS, "valid_from")
        return ("action", "version", *TERMS, "valid_from", "created_at", "created_by")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    @admin.display(description=_("cost"))
    def said(self, cost: Cost) -> str:
        return f"{cost.least} - {cost.most}" if cost.kind == CostKind.BETWEEN else str(cost.amount)

    @admin.display(description=_("real cost"))
    def real_cost(self, cost: Cost) -> str:
        if cost.real_cost_micros is None:
            return "-"
        whole, micros = divmod(cost.real_cost_micros, 10**6)
        return f"{whole}.{micros:06} {cost.real_cost_currency}"

    def has_new_version_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("credits.add_cost")

    @action(description=_("New version"), url_path="new-version", permissions=["new_version"])  # type: ignore[operator, arg-type]
    def new_version(self, request: HttpRequest, object_id: str) -> HttpResponse:
        known = Cost.objects.get(pk=object_id)
        said = {name: getattr(known, name) for name in ("action", *TERMS) if name != "is_active"}
        query = urlencode({name: value for name, value in said.items() if value is not None})
        return HttpResponseRedirect(f"{reverse('admin:credits_cost_add')}?{query}")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        said = {name: form.cleaned_data[name] for name in TERMS}
        made = costs.revise(
            action=form.cleaned_data["action"],
            terms=Terms(**said),
            valid_from=form.cleaned_data["valid_from"],
            by=cast("User", request.user),
        )
        obj.pk, obj.version, obj.valid_from = made.pk, made.version, made.valid_from


# ---------------------------------------------------------------- grant rules


class GrantRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "code": _("What plans call it. It never changes."),
            "catalogue": SEEDED,
            "amount": _("Credits that each grant gives. Running subscriptions keep what they began with."),
            "unit": UNIT,
            "every": _("Counted from the beginning of the subscription, by the customer's clock."),
            "expires_after_days": _("Counted from each grant. Empty: never, unless the next one ends it."),
            "expires_at_next": _("What is left of a grant is lost when the next one comes."),
            "catch_up": _("What is given when grants could not be made in time."),
            "is_active": _("Whether the catalogue's file still has it. Plans that name it give by it either way."),
        }


@admin.register(GrantRule)
class GrantRuleAdmin(ModelAdmin):
    form = GrantRuleForm
    list_display = ("code", "catalogue", "amount", "unit", "every", "catch_up", "is_active")
    list_filter = ("catalogue", "every", "is_active")
    search_fields = ("code",)
    ordering = ("catalogue", "code")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("code", "catalogue", "unit") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
