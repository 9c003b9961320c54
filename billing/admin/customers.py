"""Customers as support sees them: found by user id, e-mail or name, with all that is theirs on one page."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.forms import Form, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from billing import customers, vat_numbers
from billing.admin import belongings
from billing.admin.finding import countries
from billing.models import Customer
from rest.acts import StandingAdmin, asks_for
from rest.lists import EstimatedPaginator, FindingAdmin, among


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
class CustomerAdmin(FindingAdmin, StandingAdmin):  # type: ignore[misc]
    form = CustomerForm
    list_display = ("user", "name", "company", "email", "country", "locale", "created_at")
    list_filter = ("locale", ("country", among(countries)))
    list_select_related = ("user",)
    found_by_people = ("user",)
    search_fields = ("user__username", "name", "company", "email", "vat_number")
    search_help_text = _("A user id, an e-mail address, a name, a company or a VAT number.")
    paginator = EstimatedPaginator
    show_full_result_count = False
    readonly_fields = ("user", "created_at", "updated_at")
    ordering = ("-created_at",)
    change_form_before_template = "admin/billing/customer/standing.html"  # type: ignore[assignment]
    actions_detail = ("give_credits",)  # type: ignore[assignment]  # unfold means any tuple

    has_issue_grant_permission = asks_for("credits.issue_grant")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Customer | None = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Customer | None:
        """Also of somebody whom billing has not met: they may have credits or a wallet. A look writes nothing."""
        found: Customer | None = super().get_object(request, object_id, from_field)
        if found is None and object_id.isdecimal():
            user = User.objects.filter(pk=int(object_id)).first()
            return Customer(user=user) if user else None
        return found

    def standing(self, request: HttpRequest, thing: Customer) -> dict[str, Any]:
        return {"blocks": belongings.of(request, thing.user)}

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        facts: Any = {name: form.cleaned_data[name] for name in form.changed_data}
        customers.change(customers.get(obj.user), by=cast("User", request.user), **facts)

    @action(description=_("Give credits"), url_path="give", permissions=["issue_grant"], icon="add")  # type: ignore[arg-type, operator]
    def give_credits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        customer = self.found(request, object_id)
        query = urlencode({"user": customer.user.get_username()})
        return HttpResponseRedirect(f"{reverse('admin:credits_grant_issue')}?{query}")
