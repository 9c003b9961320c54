"""The page behind the link in a reminder: what is due, and the button to pay it. The signed link is the credential."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import get_language, override
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from billing import customers, dunning, plan_payments, refusal_words, saved_methods, subscriptions
from billing import gateway_subscriptions as renewing
from billing.models import Payment, Subscription
from billing.models.subscriptions import SubscriptionStatus
from billing.plan_payments import RENEW
from ledger.money import for_reader


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class MendView(View):
    """There is no cookie to forge with, so no CSRF token is asked for."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self._page(request, _found(token))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        subscription = _found(token)
        try:
            if renewing.renews_it(subscription):
                return lead_to(request, renewing.mending_page(subscription=subscription))
            payment = subscriptions.renew(subscription=subscription, wishes=subscriptions.wishes_of(subscription))
        except refusal_words.REFUSALS as refusal:
            return self._page(request, subscription, refusal=refusal)
        if url := page_of(payment):
            return lead_to(request, url)
        return redirect(request.path)

    def _page(self, request: HttpRequest, subscription: Subscription, refusal: Exception | None = None) -> HttpResponse:
        with override(language_for(request, subscription.user)):
            price = subscription.next_price or subscription.price
            waiting, instead = plan_payments.pending(subscription, RENEW), plan_payments.successor(subscription)
            context: dict[str, Any] = {
                "plan": price.plan.name,
                "amount": for_reader(subscriptions.next_amount(subscription, price)),
                "status": subscription.get_status_display(),
                "paid_until": subscription.paid_until,
                "lapses_at": subscription.lapses_at,
                "time_zone": subscription.time_zone,
                "is_past_due": subscription.status == SubscriptionStatus.PAST_DUE,
                "is_over": subscription.status == SubscriptionStatus.CANCELLED,
                "instead": instead.price.plan.name if instead and instead.period_start else "",
                "renews_by_itself": subscription.is_renewed_by_gateway,
                "waits": waiting is not None,
                "refusal": refusal_words.words(refusal) if refusal else "",
                "methods_url": saved_methods.page_url(subscription.user),
            }
            response = render(request, "billing/mend.html", context)
        response["Referrer-Policy"] = "no-referrer"  # the address of this page is its key
        return response


def _found(token: str) -> Subscription:
    subscription = dunning.subscription_of(token)
    if subscription is None:
        raise Http404
    return subscription


def lead_to(request: HttpRequest, url: str) -> HttpResponse:
    """A page in between: our policy lets no form lead to another site, and browsers hold redirects to it too."""
    response = render(request, "billing/continue.html", {"url": url})
    response["Referrer-Policy"] = "no-referrer"
    return response


def language_of(request: HttpRequest, locale: str) -> str:
    """What the reader has chosen with the buttons of our pages; else the language of our letters to the customer."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return chosen if chosen in dict(settings.LANGUAGES) else locale


def language_for(request: HttpRequest, customer: User) -> str:
    """As above; customers who are signed in stay in the language of the other pages."""
    return language() if request.user == customer else language_of(request, customers.get(customer).locale)


def language() -> str:
    return get_language() or "en"


def page_of(payment: Payment) -> str:
    """Where it is paid, while that is still possible."""
    last = payment.attempts.last()
    return str(last.next_action.get("url", "")) if last and last.is_live else ""
