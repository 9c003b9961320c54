"""Customers as support sees them: found by name or e-mail, and mended when they mistyped."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.forms import Form, ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from billing import customers, vat_numbers
from billing.models import Customer


class CustomerForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "name": _("As invoices say it."),
            "company": _("Invoices are made out to it; the name is then the contact."),
            "email": _("E-mails and invoices go there."),
            "vat_number": _("Capitals and digits, without blanks, such as FR40303265045."),
            "country": _("An ISO 3166 code, such as FR or CI. Tax and the choice of gateways go by it."),
            "locale": _("Of e-mails, pages and invoices."),
            "time_zone": _("An IANA name, such as Africa/Abidjan. Credits of plans fall due by this clock."),
        }

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if {"vat_number", "country"} & set(self.changed_data):
            vat_numbers.check_country(facts.get("vat_number", ""), facts.get("country", ""))
        return facts


@admin.register(Customer)
class CustomerAdmin(ModelAdmin):
    form = CustomerForm
    list_display = ("user", "name", "company", "email", "country", "locale", "created_at")
    list_filter = ("locale", "country")
    list_select_related = ("user",)
    search_fields = ("user__username", "name", "company", "email", "vat_number")
    readonly_fields = ("user", "created_at", "updated_at")
    ordering = ("-created_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        facts: Any = {name: form.cleaned_data[name] for name in form.changed_data}
        customers.change(obj, by=cast("User", request.user), **facts)
