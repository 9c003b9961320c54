"""The page of an invoice that is to be paid: what it says, how it stands, and the ways to pay it.

Its signed link is the credential. Gateways' pages are reached by a page of ours in between, as everywhere.
"""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from billing import asking, bills, errors, gateway_choices, invoice_links, invoice_words, pages, refusal_words
from billing.checkout import Wishes
from billing.gateways import registry, titles
from billing.gateways.errors import GatewayError
from billing.models import Invoice, InvoiceFile, Payment
from billing.models.invoices import InvoiceStatus
from billing.models.payments import PaymentStatus
from billing.routing import Wish
from storefront import details

REFUSALS: dict[type[Exception], Promise] = {
    errors.PaymentOver: _("It is paid or cancelled by now."),
    errors.AttemptLive: _("A payment is under way. Wait for it, or choose another way to pay."),
    errors.CannotCancel: _("The payment that is under way cannot be taken back. Left unpaid, it ends by itself."),
    errors.NoGatewayTakesIt: _("This way of paying did not take it. Try another one."),
}


class PayForm(forms.Form):
    """Which gateway, and the number of the telephone where it asks on that."""

    gateway = forms.ChoiceField(label=_("Pay with"), widget=forms.RadioSelect)
    phone = forms.CharField(
        label=_("Telephone, as in +2250701020304"),
        max_length=30,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"}),
    )

    def __init__(self, gateways: list[str], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.phone_gateways = [name for name in gateways if registry.get(name).capabilities.needs_phone]
        choices = [(name, titles.of(name)) for name in gateways]
        self.fields["gateway"].choices = choices  # type: ignore[attr-defined]
        if len(gateways) == 1:
            self.fields["gateway"].initial = gateways[0]
        if not self.phone_gateways:
            del self.fields["phone"]

    def clean(self) -> dict[str, Any]:
        facts: dict[str, Any] = super().clean() or {}
        if facts.get("gateway") in self.phone_gateways and not facts.get("phone"):
            self.add_error("phone", _("This gateway asks on your telephone: write its number."))
        return facts


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class BillView(View):
    """There is no cookie to forge with, so no CSRF token is asked for."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        invoice = _found(token)
        return _page(request, token, invoice, PayForm(_gateways(invoice)))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        invoice = _found(token)
        form = PayForm(_gateways(invoice), request.POST)
        if not form.is_valid():
            return _page(request, token, invoice, form, status=400)
        try:
            payment = bills.pay(invoice=invoice, wishes=_wishes(invoice, form.cleaned_data))
        except errors.PhoneInvalid:
            form.add_error("phone", _("This is no number as in +237670000001."))
            return _page(request, token, invoice, form, status=400)
        except (errors.BillingError, GatewayError) as refusal:
            return _page(request, token, _found(token), form, status=409, refusal=_sentence(refusal))
        url = pages.page_of(payment)
        return pages.lead_to(request, url) if url else redirect(request.path)


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class OtherWayView(View):
    """End the attempt that waits, so that the invoice can be paid in another way."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        invoice = _found(token)
        try:
            asking.free(_payment(invoice))
        except (errors.BillingError, GatewayError) as refusal:
            form = PayForm(_gateways(invoice))
            return _page(request, token, _found(token), form, status=409, refusal=_sentence(refusal))
        return redirect("bill", token)


@method_decorator(never_cache, name="dispatch")
class BillPdfView(View):
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        invoice = _found(token)
        file = InvoiceFile.objects.filter(pk=invoice.pk).first()
        if file is None:
            raise Http404
        disposition = f'attachment; filename="{invoice.number}.pdf"'
        return HttpResponse(bytes(file.pdf), "application/pdf", headers={"Content-Disposition": disposition})


def _found(token: str) -> Invoice:
    invoice = invoice_links.invoice_of(token)
    if invoice is None:
        raise Http404
    return invoice


def _payment(invoice: Invoice) -> Payment:
    assert invoice.payment is not None  # noqa: S101 - a constraint says so of all that are to be paid
    return invoice.payment


def _gateways(invoice: Invoice) -> list[str]:
    """Those that take it, the best first; whoever needs a telephone number can still be given one."""
    wish = Wish(amount=invoice.gross, country=_payment(invoice).country, has_phone=True)
    return list(gateway_choices.choose(wish).possible) if invoice.is_to_be_paid else []


def _wishes(invoice: Invoice, facts: dict[str, Any]) -> Wishes:
    own = invoice_links.url(invoice)
    return Wishes(
        country=_payment(invoice).country,
        gateways=[facts["gateway"]],
        phone=facts.get("phone", "").replace(" ", ""),
        success_url=own,
        cancel_url=own,
    )


def _sentence(refusal: Exception) -> str | Promise:
    own = next((said for kind, said in REFUSALS.items() if isinstance(refusal, kind)), None)
    return own or refusal_words.words(refusal)


def _page(
    request: HttpRequest,
    token: str,
    invoice: Invoice,
    form: PayForm,
    *,
    status: int = 200,
    refusal: str | Promise = "",
) -> HttpResponse:
    template = "storefront/bill_part.html" if "part" in request.GET else "storefront/bill.html"
    with override(pages.language_of(request, invoice.locale)):
        own_path = reverse("bill", args=[token])  # not that of the button which led here
        context = {**_told(invoice), "token": token, "form": form, "refusal": refusal, "own_path": own_path}
        response = render(request, template, context, status=status)
    response["Referrer-Policy"] = "no-referrer"  # the address of this page is its key
    return response


def _told(invoice: Invoice) -> dict[str, Any]:
    payment = _payment(invoice)
    last = payment.attempts.order_by("id").last()
    live = last if last is not None and last.is_live else None
    with override(invoice.locale):  # the paper is as it was issued, whoever reads it
        said = invoice_words.told(invoice, list(invoice.lines.all()))
    return {
        "paper": said,
        "invoice": invoice,
        "last_column": len(said["labels"]["columns"]) - 1,
        "standing": InvoiceStatus(invoice.status).label,
        "is_paid": payment.status == PaymentStatus.SUCCEEDED,
        "is_cancelled": payment.status == PaymentStatus.CANCELLED,
        "is_in_doubt": payment.status == PaymentStatus.QUARANTINED,
        "waits": live is not None,
        "pay_url": pages.page_of(payment),
        "phone": live.next_action.get("phone", "") if live else "",
        "failed": last is not None and live is None and invoice.is_to_be_paid,
        "has_file": InvoiceFile.objects.filter(pk=invoice.pk).exists(),
        "missing": [details.NAMES[name] for name in invoice.missing],
        # The link of an invoice is good for ever, and stands in its PDF; the way to the customer's details is not.
        "details_url": details.link(invoice.user) if invoice.is_to_be_paid else "",
    }
