"""What the buyer tells for their invoices: address, company and VAT number, with each mistake beside its field.

Who is signed in comes to it from every page; others by a signed link, which stands on the page of their invoice.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote

from babel import Locale as Language
from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from billing import customers, invoice_writing, vat_numbers
from billing.models import Customer
from rest import codes
from storefront import papers
from storefront.signed_in import SignedIn

SALT = "storefront.details"
NAMES = {"name": _("name"), "address": _("address"), "city": _("city"), "country": _("country")}
# Where mail goes is no business of whoever a link was forwarded to.
FIELDS = ("name", "company", "vat_number", "address", "postcode", "city", "country")
OWN_FIELDS = (*FIELDS, "email")
AUTOCOMPLETE = {
    "name": "name",
    "company": "organization",
    "address": "street-address",
    "postcode": "postal-code",
    "city": "address-level2",
    "country": "country",
    "email": "email",
}


def link(user: User) -> str:
    return f"{settings.BASE_URL}/details/{signing.dumps(user.pk, salt=SALT)}"


class DetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """As the record itself judges it; a VAT number may be written with blanks and points, as people do."""

    vat_number = forms.CharField(
        label=_("VAT number"), required=False, max_length=30, help_text=_("Of a company, as in FR44732829320.")
    )
    country = forms.ChoiceField(label=_("country"), required=False)

    class Meta:
        model = Customer
        fields = OWN_FIELDS

    def __init__(self, *arguments: Any, names: Sequence[str], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields = {name: self.fields[name] for name in names}
        self.fields["country"].choices = [("", "-"), *_countries()]  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            field.widget.attrs["autocomplete"] = AUTOCOMPLETE.get(name, "off")

    def clean_vat_number(self) -> str:
        written = str(self.cleaned_data["vat_number"])
        return "".join(each for each in written.upper() if each not in " .-")

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        vat_numbers.check_country(facts.get("vat_number", ""), facts.get("country", ""))
        return facts


def _countries() -> list[tuple[str, str]]:
    names = Language.parse(get_language() or "en", sep="-").territories
    return sorted(((code, names.get(code, code)) for code in codes.countries()), key=lambda each: each[1])


class _DetailsPage(View):
    http_method_names = ["get", "head", "post"]
    names: Sequence[str] = FIELDS

    def show(self, request: HttpRequest, user: User) -> HttpResponse:
        customer = customers.get(user)
        return _page(
            request, customer, DetailsForm(instance=customer, names=self.names), is_saved="saved" in request.GET
        )

    def save(self, request: HttpRequest, user: User) -> HttpResponse:
        form = DetailsForm(request.POST, instance=customers.get(user), names=self.names)
        if form.is_valid():
            try:
                facts = cast("customers.Facts", {name: form.cleaned_data[name] for name in self.names})
                customers.change(customers.get(user), by=user, **facts)
            except ValidationError as mistakes:
                form.add_error(None, mistakes)
            else:
                return redirect(f"{quote(request.path)}?saved=1")
        return _page(request, customers.get(user), form, status=400)


class OwnDetailsView(SignedIn, _DetailsPage):
    came_from = "details"
    names = OWN_FIELDS

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.show(request, self.customer)

    def post(self, request: HttpRequest) -> HttpResponse:
        return self.save(request, self.customer)


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class DetailsView(_DetailsPage):
    """There is no cookie to forge with, so no CSRF token is asked for."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self.show(request, _user_of(token))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        return self.save(request, _user_of(token))


def _user_of(token: str) -> User:
    try:
        known = signing.loads(token, salt=SALT, max_age=timedelta(minutes=settings.DETAILS_PAGE_MINUTES))
    except signing.BadSignature as error:
        raise Http404 from error
    user = User.objects.filter(pk=known, is_active=True).first()
    if user is None:
        raise Http404
    return user


def _page(
    request: HttpRequest, customer: Customer, form: DetailsForm, *, status: int = 200, is_saved: bool = False
) -> HttpResponse:
    _buyer, missing = invoice_writing.buyer(customer.user)
    is_own = request.user == customer.user  # a link may have been forwarded
    context = {
        "form": form,
        "is_saved": is_saved,
        "missing": [NAMES[name] for name in missing],
        "papers": papers.listed(customer.user) if is_own else [],
    }
    response = render(request, "storefront/details.html", context, status=status)
    response["Referrer-Policy"] = "no-referrer"  # the address of this page may be its key
    return response
