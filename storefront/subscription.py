"""The customer's own page of their plan: how it stands, what comes next, and the buttons to change or end it.

Every button calls the same act as the API. Pages of gateways are reached by a page of ours in between, since a browser
that honours our policy follows no form to another site.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from billing import cancellations, dunning, pages, plan_changes, plan_payments, plans, refusal_words, subscriptions
from billing import gateway_subscriptions as renewing
from billing.cancellations import Ending
from billing.checkout import Wishes
from billing.models import PlanPrice, Subscription
from billing.models.subscriptions import IN_FORCE, SubscriptionStatus
from billing.plan_changes import NOW, PERIOD_END
from credits import calendar, catalogue_titles, unit_names
from ledger.money import for_reader
from storefront import plan_offers
from storefront.signed_in import SignedIn

NEXT_GRANTS = 12


class OwnPage(SignedIn):
    def found(self) -> Subscription:
        """The one that the form names; another's is as good as none."""
        rows = Subscription.objects.of(self.customer)
        found = next((each for each in rows if str(each.pk) == self.request.POST.get("subscription")), None)
        if found is None:
            raise Http404
        return found

    def page(self, **more: Any) -> HttpResponse:
        template = "storefront/subscription_part.html" if "part" in self.request.GET else "storefront/subscription.html"
        own_path = reverse("subscription-page")  # not that of the button which led here
        context = {"plans": [told(each) for each in _of(self.customer)], "own_path": own_path, **more}
        return render(self.request, template, context, status=409 if more.get("refusal") else 200)

    def refused(self, refusal: Exception) -> HttpResponse:
        return self.page(refusal=refusal_words.words(refusal))


class SubscriptionView(OwnPage):
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page()


class SubscribeView(OwnPage):
    http_method_names = ["post"]
    came_from = "pricing"

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = request.POST
        try:
            price = plans.price_of(
                plans.find(asked.get("plan", "")), asked.get("currency", ""), asked.get("interval", "")
            )
            _make_room(self.customer, price)
            begun = subscriptions.start(user=self.customer, price=price, wishes=_wishes())
        except refusal_words.REFUSALS as refusal:
            return self.refused(refusal)
        url = str((begun.next_action or {}).get("url", "")) or (pages.page_of(begun.payment) if begun.payment else "")
        return pages.lead_to(request, url) if url else redirect("subscription-page")


class ChangeView(OwnPage):
    """First what it would cost, to the cent; then, with the confirmation, it happens."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        found = self.found()
        try:
            price = subscriptions.price_for(found, request.POST.get("plan", ""), request.POST.get("interval", ""))
            if "confirmed" not in request.POST:
                preview = plan_changes.preview(subscription=found, price=price)
                return self.page(preview=_preview(found, preview))
            done = plan_changes.change(subscription=found, price=price, wishes=subscriptions.wishes_of(found))
        except refusal_words.REFUSALS as refusal:
            return self.refused(refusal)
        url = str((done.next_action or {}).get("url", "")) or (pages.page_of(done.payment) if done.payment else "")
        return pages.lead_to(request, url) if url else redirect("subscription-page")


class CancelView(OwnPage):
    """First what it would do; then, with the confirmation, it happens."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        found = self.found()
        try:
            if "confirmed" not in request.POST:
                return self.page(ending=_ending(found, cancellations.preview(subscription=found)))
            subscriptions.cancel(subscription=found)
        except refusal_words.REFUSALS as refusal:
            return self.refused(refusal)
        return redirect("subscription-page")


class ResumeView(OwnPage):
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            subscriptions.resume(subscription=self.found())
        except refusal_words.REFUSALS as refusal:
            return self.refused(refusal)
        return redirect("subscription-page")


class PortalView(OwnPage):
    """The card and the invoices at the gateway; where we renew, the page on which the next period is paid."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        found = self.found()
        if not renewing.renews_it(found):
            return redirect(dunning.mend_url(found))
        try:
            if found.status == SubscriptionStatus.PAST_DUE:
                url = renewing.mending_page(subscription=found)
            else:
                url = renewing.portal(subscription=found, return_url="")
        except refusal_words.REFUSALS as refusal:
            return self.refused(refusal)
        return pages.lead_to(request, url)


# ---------------------------------------------------------------- what the page tells


def _of(user: User) -> list[Subscription]:
    live = list(Subscription.objects.of(user).live().order_by("id"))
    last = Subscription.objects.of(user).order_by("-id").first()
    return live or ([last] if last else [])


def _make_room(user: User, price: PlanPrice) -> None:
    """One whose page was left unpaid stands in the way of nothing: the customer begins again."""
    rows = Subscription.objects.of(user).filter(catalogue=price.plan.catalogue, status=SubscriptionStatus.INCOMPLETE)
    for left in (each for each in rows if not subscriptions.is_being_started(each)):
        subscriptions.cancel_now(subscription=left)


def _wishes() -> Wishes:
    own = settings.BASE_URL
    return Wishes(success_url=f"{own}/subscription", cancel_url=f"{own}/pricing")


def told(found: Subscription) -> dict[str, Any]:
    dates, now = calendar.next_dates(reference=found.reference, count=NEXT_GRANTS), timezone.now()
    if found.cancel_at_period_end:
        dates = [date for date in dates if date.is_paid]
    in_force = found.status in IN_FORCE
    waiting = plan_payments.pending(found)
    return {
        "id": str(found.pk),
        "product": catalogue_titles.title(found.catalogue),
        "name": found.price.plan.name,
        "price": plan_offers.price_text(found.price),
        "status": found.status,
        "status_text": found.get_status_display(),
        "waits": found.status == SubscriptionStatus.INCOMPLETE or waiting is not None,
        "pay_url": pages.page_of(waiting) if waiting else "",
        "is_over": not in_force and found.status not in (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.PAUSED),
        "is_past_due": found.status == SubscriptionStatus.PAST_DUE,
        "is_paused": found.status == SubscriptionStatus.PAUSED,
        "renews_by_itself": found.is_renewed_by_gateway,
        "ends": found.cancel_at_period_end,
        "has_payments": found.status in (*IN_FORCE, SubscriptionStatus.PAUSED)
        and (renewing.renews_it(found) or (in_force and not found.cancel_at_period_end)),
        "may_cancel": in_force and not found.cancel_at_period_end,
        "may_resume": (in_force and found.cancel_at_period_end) or found.status == SubscriptionStatus.PAUSED,
        "paid_until": found.paid_until,
        "lapses_at": found.lapses_at,
        "time_zone": found.time_zone,
        "next_name": found.next_price.plan.name if found.next_price else "",
        "is_being_given": any(each.is_paid and each.at <= now for each in dates),
        "grants": [
            {
                "at": each.at,
                "text": unit_names.counted(each.amount, each.unit, found.catalogue),
                "is_due": each.is_paid and each.at <= now,
            }
            for each in dates
        ],
        "others": _others(found) if in_force and not found.cancel_at_period_end else [],
    }


def _others(found: Subscription) -> list[dict[str, Any]]:
    """Without those that would be refused: a gateway that renews keeps the interval."""
    current = (found.next_price or found.price).pk
    keeps = found.price.interval if found.is_renewed_by_gateway else None
    offers = plans.on_sale(catalogue=found.catalogue, currency=found.price.currency)
    return [
        {
            "plan": offer.plan.code,
            "name": offer.plan.name,
            "interval": price.interval,
            "text": plan_offers.price_text(price),
        }
        for offer in offers
        for price in offer.prices
        if price.pk != current and keeps in (None, price.interval)
    ]


def _ending(found: Subscription, ending: Ending) -> dict[str, Any]:
    return {
        "subscription": str(found.pk),
        "name": found.price.plan.name,
        "is_now": ending.when == NOW,
        "ends_at": ending.ends_at,
        "coming": len(ending.coming),
        "amount": for_reader(ending.next_amount) if ending.next_amount else "",
        "time_zone": found.time_zone,
    }


def _preview(found: Subscription, plan: plan_changes.ChangePlan) -> dict[str, Any]:
    return {
        "subscription": str(found.pk),
        "plan": plan.price.plan.code,
        "interval": plan.price.interval,
        "name": plan.price.plan.name,
        "price": plan_offers.price_text(plan.price),
        "is_later": plan.when == PERIOD_END,
        "begins_at": plan.begins_at,
        "due": for_reader(plan.due),
        "discount": for_reader(plan.discount) if plan.discount.minor > 0 else "",
        "next_amount": for_reader(plan.next_amount),
        "next_payment_at": plan.next_payment_at,
        "time_zone": found.time_zone,
    }
