"""Drafts of invoices: the one thing of billing that is edited here, until it is issued."""

from functools import cache
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from billing import drafts
from billing.admin.acts import BillingActsAdmin
from billing.admin.finding import of_currency
from billing.drafts import Reckoned
from billing.models import DraftLine, InvoiceDraft
from credits.admin.acts import ActForm, operator
from ledger import money
from ledger.errors import LedgerError
from ledger.money import for_reader
from rest import codes
from rest.labels import display
from rest.lists import person

MISSING = {"name": _("name"), "address": _("address"), "city": _("city"), "country": _("country")}


class DraftForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = InvoiceDraft
        fields = ("user", "currency", "due_on")
        help_texts = {
            "currency": _("An ISO 4217 code, such as EUR or XOF; all lines are in it."),
            "due_on": _("The invoice says so, and is overdue from the next day on."),
        }

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).strip().upper()
        if currency not in codes.currencies():
            raise ValidationError(gettext("Write an ISO 4217 code, such as EUR or XOF."))
        return currency


class LineForm(ModelForm):  # type: ignore[type-arg]
    """Amounts as people write them, in the currency of the draft, which is read when its own form has been."""

    unit_price = forms.CharField(
        label=_("unit price before tax"), max_length=20, widget=UnfoldAdminTextInputWidget, help_text=_("As in 9.99")
    )
    discount = forms.CharField(
        label=_("discount"),
        max_length=20,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Off the whole line, before tax."),
    )

    class Meta:
        model = DraftLine
        fields = ("description", "quantity", "product")
        help_texts = {"product": _("As the tax rates name it: standard, unless there is another.")}

    field_order = ("description", "quantity", "unit_price", "discount", "product")

    def __init__(self, *arguments: Any, draft: InvoiceDraft, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.draft = draft
        if self.instance.pk:
            self.initial["unit_price"] = money.plain(self.instance.unit_price)
            self.initial["discount"] = money.plain(self.instance.discount) if self.instance.discount_minor else ""

    def clean_unit_price(self) -> int:
        return self._minor(self.cleaned_data["unit_price"])

    def clean_discount(self) -> int:
        written = self.cleaned_data["discount"]
        return self._minor(written) if written else 0

    def _minor(self, written: str) -> int:
        if self.draft.currency not in codes.currencies():
            return 0  # the draft itself says what is wrong with its currency
        try:
            return money.as_written(written, self.draft.currency).minor
        except LedgerError as error:
            raise ValidationError(
                gettext("Write an amount such as 9.99, with no more decimals than the currency has.")
            ) from error

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if facts.get("quantity") == 0:
            self.add_error("quantity", gettext("At least one."))
        elif {"unit_price", "discount", "quantity"} <= facts.keys():
            if facts["discount"] > facts["quantity"] * facts["unit_price"]:
                self.add_error("discount", gettext("The discount is more than the price."))
                return facts
            self.instance.unit_price_minor, self.instance.discount_minor = facts["unit_price"], facts["discount"]
        return facts


class LineFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return {**super().get_form_kwargs(index), "draft": self.instance}

    def clean(self) -> None:
        """Lines are numbered as they stand on the page."""
        super().clean()
        if any(self.errors):
            return
        kept = [form for form in self.forms if form.has_changed() or form.instance.pk]
        kept = [form for form in kept if form not in self.deleted_forms]
        if not kept:
            raise ValidationError(gettext("An invoice has at least one line."))
        taken = max((form.instance.position or 0 for form in self.forms), default=0)
        for form in kept:
            if not form.instance.position:
                taken += 1
                form.instance.position = taken


class LineInline(TabularInline):
    model = DraftLine
    form = LineForm
    formset = LineFormSet  # type: ignore[assignment]  # unfold means its own, which pages are made of
    fields = ("description", "quantity", "unit_price", "discount", "product")
    extra = 1
    tab = False

    # Who may edit a draft edits its lines, which have no permissions of their own.
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        name = "add_invoicedraft" if obj is None else "change_invoicedraft"
        return not _is_issued(obj) and operator(request).has_perm(f"billing.{name}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return operator(request).has_perm("billing.view_invoicedraft") or self.has_change_permission(request, obj)


class IsIssued(admin.SimpleListFilter):
    title = _("issued")
    parameter_name = "issued"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", gettext("still a draft")), ("yes", gettext("issued"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[InvoiceDraft]) -> QuerySet[InvoiceDraft]:
        return queryset if self.value() is None else queryset.filter(invoice__isnull=self.value() == "no")


@admin.register(InvoiceDraft)
class InvoiceDraftAdmin(BillingActsAdmin):
    """Edited like any other table; issuing is an act, with a preview of what the paper will say."""

    form = DraftForm
    list_display = ("created_at", "customer", "total", "due_on", "state", "number")
    list_filter = (IsIssued, ("currency", of_currency))
    found_by_ids = ("pk",)
    found_by_words = ("invoice__number",)
    found_by_people = ("user",)
    search_help_text = _("A customer, or the number of the invoice that became of it.")
    list_select_related = ("user", "invoice")
    autocomplete_fields = ("user",)
    inlines = (LineInline,)
    actions_detail = ("issue",)  # type: ignore[assignment]
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _is_issued(obj) and ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return not _is_issued(obj) and ModelAdmin.has_delete_permission(self, request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InvoiceDraft]:
        return super().get_queryset(request).prefetch_related("lines__draft")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        if isinstance(obj, InvoiceDraft) and not change:
            obj.created_by = operator(request)
        super().save_model(request, obj, form, change)

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, draft: InvoiceDraft) -> SafeString:
        return person(draft.user)

    @admin.display(description=_("total before tax"))
    def total(self, draft: InvoiceDraft) -> str:
        return for_reader(money.total((line.net for line in draft.lines.all()), draft.currency))

    @display(description=_("state"), label={"draft": "warning", "issued": "success"})
    def state(self, draft: InvoiceDraft) -> tuple[str, str]:
        return ("issued", gettext("issued")) if draft.is_issued else ("draft", gettext("draft"))

    @admin.display(description=_("invoice"))
    def number(self, draft: InvoiceDraft) -> str:
        return draft.invoice.number if draft.invoice else "-"

    @action(description=_("Issue"), url_path="issue", permissions=["issue_invoice"], icon="receipt_long")  # type: ignore[arg-type, operator]
    def issue(self, request: HttpRequest, object_id: str) -> HttpResponse:
        draft = self.found(request, object_id)
        if draft.is_issued:
            self.message_user(request, gettext("The invoice of this draft is issued already."), level="warning")
            return HttpResponseRedirect(self.page_of(draft))

        # Once a request: what is compared with what was shown is what is issued.
        @cache
        def reckoned(form: ActForm) -> Reckoned:
            return drafts.reckon(draft)

        def do(form: ActForm) -> str:
            invoice = drafts.issue(draft=draft, expected=reckoned(form))
            return gettext("%(number)s is issued; it waits to be paid until %(day)s.") % {
                "number": invoice.number,
                "day": invoice.due_on,
            }

        return self.act(
            request,
            draft,
            form=ActForm,
            title=gettext("Issue the invoice"),
            says=gettext(
                "It takes its number and never changes again. The customer gets a mail with a link to pay it."
            ),
            preview=lambda form: _lines(draft, reckoned(form)),
            do=do,
        )


def _is_issued(draft: Model | None) -> bool:
    return isinstance(draft, InvoiceDraft) and draft.is_issued


def _lines(draft: InvoiceDraft, reckoned: Reckoned) -> list[str]:
    told = [
        f"{line.quantity} \N{MULTIPLICATION SIGN} {line.description}: {for_reader(line.net)}" for line in reckoned.lines
    ]
    told += [
        gettext("Total without tax: %(amount)s") % {"amount": for_reader(reckoned.net)},
        gettext("Tax: %(amount)s") % {"amount": for_reader(reckoned.tax)},
        gettext("To be paid: %(amount)s") % {"amount": for_reader(reckoned.gross)},
    ]
    if mention := reckoned.lines[0].treatment.mention:
        told.append(mention)
    if reckoned.missing:
        names = ", ".join(str(MISSING[name]) for name in reckoned.missing)
        told.append(gettext("Missing of the buyer: %(names)s") % {"names": names})
    if not reckoned.email:
        told.append(gettext("Nobody told us an e-mail address: send the customer the link yourself."))
    return told
