"""Customers as support sees them: found by name or e-mail, and mended when they mistyped."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.forms import Form, ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing import customers
from billing.admin.finding import countries
from billing.models import Customer
from rest.lists import EstimatedPaginator, FindingAdmin, among


class CustomerForm(ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "name": _("As invoices say it."),
            "company": _("Invoices are made out to it; the name is then the contact."),
            "email": _("Letters and invoices go there."),
            "vat_number": _("Capitals and digits, without blanks, such as FR40303265045."),
            "country": _("An ISO 3166 code, such as FR or CI. Tax and the choice of gateways go by it."),
            "locale": _("Of letters, pages and invoices."),
            "time_zone": _("An IANA name, such as Africa/Abidjan. Credits of plans fall due by this clock."),
        }


@admin.register(Customer)
class CustomerAdmin(FindingAdmin):
    form = CustomerForm
    list_display = ("user", "name", "company", "email", "country", "locale", "created_at")
    list_filter = ("locale", ("country", among(countries)))
    list_select_related = ("user",)
    found_by_people = ("user",)
    search_fields = ("user__username", "name", "company", "email", "vat_number")
    paginator = EstimatedPaginator
    show_full_result_count = False
    readonly_fields = ("user", "created_at", "updated_at")
    ordering = ("-created_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        facts: Any = {name: form.cleaned_data[name] for name in form.changed_data}
        customers.change(obj, by=cast("User", request.user), **facts)
