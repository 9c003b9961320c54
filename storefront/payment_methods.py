"""The customer's page of their cards: which are kept, what is charged to them, one more, or one less.

Reached after signing in, or by the signed link of a letter. The gateway's page is reached by a page of ours in between,
as that of a plan is.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from billing import errors, method_removals, method_setups, pages, refusal_words, saved_methods
from billing.gateways.errors import GatewayError
from billing.models import MethodSetup, SavedMethod, Subscription, TopUp
from billing.models.saved_methods import MethodSetupState
from billing.models.subscriptions import SubscriptionStatus

REFUSALS: dict[type[Exception], Any] = {
    errors.MethodPaysPlan: _("Your plan is paid with this card. Give the plan another card first."),
    errors.NoGatewayKeepsMethods: _("No card can be added at the moment."),
    errors.NotYours: _("This card is removed already."),
}


class Page(View):
    """What both ways to the page have in common."""

    http_method_names = ["get", "head", "post"]
    customer: User

    def get(self, request: HttpRequest, **_: str) -> HttpResponse:
        setup = self._setup()
        if setup is not None and "part" not in request.GET:
            with suppress(GatewayError):  # its letter or the sweep will tell; the page waits
                setup = method_setups.ask(setup)
        return self.page(setup=setup)

    def post(self, request: HttpRequest, **_: str) -> HttpResponse:
        try:
            if request.POST.get("act") == "add":
                return self._add()
            return self._remove()
        except (errors.BillingError, GatewayError) as refusal:
            return self.page(refusal=str(REFUSALS.get(type(refusal)) or refusal_words.words(refusal)))

    def _add(self) -> HttpResponse:
        own = settings.BASE_URL + self.request.path
        made = method_setups.start(user=self.customer, success_url=own, cancel_url=f"{own}?left=1")
        if url := str(made.next_action.get("url", "")):
            return pages.lead_to(self.request, url)
        return self.page(setup=made)

    def _remove(self) -> HttpResponse:
        asked = self.request.POST.get("method", "")
        kept = SavedMethod.objects.of(self.customer).select_related("user")
        found = next((each for each in kept if str(each.pk) == asked), None)
        if found is None:
            raise errors.NotYours
        if "confirmed" not in self.request.POST:
            return self.page(removal=_told_of_removal(found))
        method_removals.remove(method=found)
        return redirect(self.request.path)

    def _setup(self) -> MethodSetup | None:
        try:
            known = UUID(self.request.GET.get("setup", ""))
        except ValueError:
            return None
        return MethodSetup.objects.filter(user=self.customer, pk=known).first()

    def page(self, *, setup: MethodSetup | None = None, **more: Any) -> HttpResponse:
        is_open = setup is not None and setup.state == MethodSetupState.OPEN
        has_left = "left" in self.request.GET
        context = {
            "methods": _methods(self.customer),
            "plans": _plans(self.customer),
            "top_up": TopUp.objects.agreed().select_related("pack").filter(user=self.customer).first(),
            "setup_state": setup.state if setup else "",
            "waits": is_open and not has_left,
            "has_left": is_open and has_left,
            "live_url": f"{self.request.path}?part=1&setup={setup.pk}" if setup else "",
            **more,
        }
        name = "payment_methods_part" if "part" in self.request.GET else "payment_methods"
        status = 409 if "refusal" in more else 200
        return render(self.request, f"storefront/{name}.html", context, status=status)


@method_decorator(never_cache, name="dispatch")
class MethodsView(LoginRequiredMixin, Page):
    def dispatch(self, request: HttpRequest, *arguments: Any, **named: Any) -> Any:
        if isinstance(request.user, User):
            self.customer = request.user
        return super().dispatch(request, *arguments, **named)


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class LinkedMethodsView(Page):
    """There is no cookie to forge with, so no CSRF token is asked for."""

    def dispatch(self, request: HttpRequest, *arguments: Any, **named: Any) -> Any:
        found = saved_methods.user_of(named["token"])
        if found is None:
            raise Http404
        self.customer = found
        with override(pages.language_for(request, found)):
            response = super().dispatch(request, *arguments, **named)
        response["Referrer-Policy"] = "no-referrer"  # the address of this page is its key
        return response


def name_of(method: SavedMethod) -> str:
    brand = _spelled(method.brand or method.kind or method.gateway)
    return f"{brand} •••• {method.last4}" if method.last4 else brand


def _methods(user: User) -> list[dict[str, Any]]:
    is_charged = TopUp.objects.running().filter(user=user).exists()
    return [
        {
            "id": each.pk,
            "name": name_of(each),
            "expires": each.expires,
            "is_charged": is_charged and number == 0,
        }
        for number, each in enumerate(SavedMethod.objects.of(user))
    ]


def _plans(user: User) -> list[dict[str, str]]:
    """Those whose card their gateway keeps by itself: we know neither its digits nor whether it is one of ours."""
    live = Subscription.objects.of(user).live().exclude(status=SubscriptionStatus.INCOMPLETE).order_by("id")
    return [
        {"name": each.price.plan.name, "gateway": _spelled(each.gateway)} for each in live if each.is_renewed_by_gateway
    ]


def _spelled(name: str) -> str:
    return name.replace("_", " ").title()


def _told_of_removal(method: SavedMethod) -> dict[str, Any]:
    removal = method_removals.preview(method)
    return {
        "id": method.pk,
        "name": name_of(method),
        "pack": removal.top_up.pack.name if removal.top_up else "",
        "stops": removal.stops_top_up,
        "goes_on_with": name_of(removal.goes_on_with) if removal.goes_on_with else "",
    }
