"""`/subscription`: begin, see, change, end, and mend."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework import serializers as drf
from rest_framework.request import Request
from rest_framework.response import Response

from billing import cancellations, checkout, dunning, plan_changes, plans, subscriptions
from billing import gateway_subscriptions as renewing
from billing.api.coupons import count_try
from billing.api.shapes import NextActionResponse, PaymentResponse, next_action, wishes_of
from billing.cancellations import Ending
from billing.models import Payment, Subscription
from billing.models.plans import PlanInterval, PlanPrice
from billing.models.subscriptions import SubscriptionStatus
from billing.plan_changes import NOW, PERIOD_END, Changed, ChangePlan
from credits import calendar
from credits.calendar import Date
from rest import callers, fields, idempotency, serializers
from rest.idempotency import Claim
from rest.permissions import OwnerOrService
from rest.views import ApiView

TAGS = ["subscriptions"]
NEXT_GRANTS = 12
May = OwnerOrService("billing.subscribe_customer")
MayRead = OwnerOrService("billing.view_subscription")


class SubscriptionQuery(serializers.QuerySerializer):
    catalogue = fields.StringField(max_length=60, required=False, bare=True)


class CancelQuery(SubscriptionQuery):
    immediately = fields.BooleanField(required=False, help_text="Now, not when the period ends.")
    preview = fields.BooleanField(required=False, help_text="Say what it would do, and do nothing.")


class PaymentWish(serializers.StrictSerializer):
    """How the customer wants to pay."""

    gateways = drf.ListField(
        child=fields.StringField(max_length=20, bare=True), required=False, min_length=1, max_length=10
    )
    country = fields.CountryField(required=False, help_text="As at a checkout.")
    phone = fields.StringField(required=False, max_length=30, bare=True)
    success_url = fields.StringField(required=False, max_length=1000, bare=True)
    cancel_url = fields.StringField(required=False, max_length=1000, bare=True)


class SubscribeBody(PaymentWish):
    plan = fields.StringField(max_length=60, bare=True)
    currency = fields.CurrencyField()
    interval = fields.EnumField(choices=PlanInterval.values, required=False)
    coupon = fields.StringField(required=False, max_length=40, bare=True)


class ChangeBody(PaymentWish):
    plan = fields.StringField(max_length=60, bare=True)
    interval = fields.EnumField(choices=PlanInterval.values, required=False)
    at = fields.EnumField(
        choices=[NOW, PERIOD_END], required=False, help_text="Unless said: now to a dearer plan, else with the period."
    )
    preview = fields.BooleanField(required=False, help_text="Say what it would cost, and change nothing.")


class PortalBody(serializers.StrictSerializer):
    return_url = fields.StringField(required=False, max_length=1000, bare=True)


class GrantDateResponse(answers.Serializer[Any]):
    at = answers.DateTimeField()
    amount = answers.IntegerField()
    unit = answers.CharField()
    is_paid = answers.BooleanField(help_text="Whether its period is paid for already.")


class SubscriptionResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    status = answers.ChoiceField(choices=SubscriptionStatus.values)
    plan = answers.CharField()
    catalogue = answers.CharField()
    interval = answers.ChoiceField(choices=PlanInterval.values)
    amount = answers.IntegerField(help_text="In minor units, for one interval.")
    currency = answers.CharField()
    cancel_at_period_end = answers.BooleanField()
    current_period_start = answers.DateTimeField(allow_null=True)
    current_period_end = answers.DateTimeField(allow_null=True)
    access_until = answers.DateTimeField(allow_null=True, help_text="What it entitles to lasts until then.")
    trial_until = answers.DateTimeField(allow_null=True)
    next_plan = answers.CharField(allow_null=True, help_text="From the next period on, where it is another one.")
    next_interval = answers.CharField(allow_null=True)
    next_grant_at = answers.DateTimeField(allow_null=True)
    next_grants = GrantDateResponse(many=True)
    renews_by_itself = answers.BooleanField()
    ended_at = answers.DateTimeField(allow_null=True)
    end_reason = answers.CharField()


class CancellationResponse(answers.Serializer[Any]):
    """No money goes back, and credits that were given stay with the expiry that they have."""

    when = answers.ChoiceField(choices=[NOW, PERIOD_END])
    ends_at = answers.DateTimeField(help_text="What it entitles to lasts until then.")
    lost_until = answers.DateTimeField(allow_null=True, help_text="Paid for until then, and not used any more.")
    coming_grants = GrantDateResponse(many=True, help_text="Paid for, and still to come.")
    lost_grants = GrantDateResponse(many=True, help_text="Paid for, and not to come any more.")
    next_amount = answers.IntegerField(allow_null=True, help_text="That will not be charged, in minor units.")
    next_payment_at = answers.DateTimeField(allow_null=True)
    may_resume = answers.BooleanField(help_text="Whether it can be taken back until it ends.")


class CancelledResponse(SubscriptionResponse):
    cancellation = CancellationResponse(required=False, help_text="With `preview`: what it would do.")


class BegunResponse(answers.Serializer[Any]):
    subscription = SubscriptionResponse()
    payment = PaymentResponse(allow_null=True)
    next_action = NextActionResponse()


class ChangePreviewResponse(answers.Serializer[Any]):
    plan = answers.CharField()
    interval = answers.CharField()
    when = answers.ChoiceField(choices=[NOW, PERIOD_END])
    begins_at = answers.DateTimeField()
    due = answers.IntegerField(help_text="In minor units, now.")
    charge = answers.IntegerField(help_text="For the new plan until the end of what is paid for, less the discount.")
    credit = answers.IntegerField(help_text="What the old plan is still worth.")
    discount = answers.IntegerField(help_text="What the subscription's coupon takes off, taken off already.")
    currency = answers.CharField()
    next_amount = answers.IntegerField(help_text="Of the next period, less what the coupon takes off that.")
    next_payment_at = answers.DateTimeField()


class ChangeResponse(answers.Serializer[Any]):
    subscription = SubscriptionResponse()
    preview = ChangePreviewResponse()
    payment = PaymentResponse(allow_null=True)
    next_action = NextActionResponse()


class PortalResponse(answers.Serializer[Any]):
    url = answers.URLField()


class SubscriptionView(ApiView):
    permission_classes = (MayRead,)
    permissions_to_write = (May,)
    queries = {"GET": SubscriptionQuery, "DELETE": CancelQuery}

    @extend_schema(
        operation_id="subscription",
        summary="Show the customer's subscription",
        description="The live one, or the last that they had; 404 when there never was one.",
        responses=SubscriptionResponse,
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = serializers.query(request, SubscriptionQuery)
        return Response(told(subscriptions.of(callers.customer(request), asked.get("catalogue", ""))))

    @extend_schema(
        operation_id="subscribe",
        summary="Subscribe to a plan",
        description="The answer says what the customer does next: open a page, confirm on the telephone, or nothing.",
        request=SubscribeBody,
        responses={201: BegunResponse},
        tags=TAGS,
    )
    @idempotency.remembered
    def post(self, request: Request, claim: Claim) -> Response:
        user = callers.customer(request)
        if (begun := checkout.earlier(claim)) is not None:
            return idempotency.replayed(_begun(_of(begun), begun, None))
        wish = serializers.read(request, SubscribeBody)
        price = plans.price_of(plans.find(wish["plan"]), wish["currency"], wish.get("interval", ""))
        if "coupon" in wish:
            count_try(user)
        made = subscriptions.start(
            user=user, price=price, wishes=wishes_of(wish), coupon=wish.get("coupon", ""), claim=claim
        )
        return _begun(made.subscription, made.payment, made.next_action)

    @extend_schema(
        operation_id="unsubscribe",
        summary="Cancel the subscription",
        request=None,
        responses=CancelledResponse,
        tags=TAGS,
    )
    def delete(self, request: Request) -> Response:
        asked = serializers.query(request, CancelQuery)
        found = subscriptions.of(callers.customer(request), asked.get("catalogue", ""))
        if asked.get("preview"):
            ending = cancellations.preview(subscription=found, immediately=asked.get("immediately", False))
            return Response(told(found) | {"cancellation": _ending(ending)})
        cancel = subscriptions.cancel_now if asked.get("immediately") else subscriptions.cancel
        return Response(told(cancel(subscription=found)))


class SubscriptionChangeView(ApiView):
    permission_classes = (May,)
    queries = {"POST": SubscriptionQuery}

    @extend_schema(
        operation_id="change_subscription",
        summary="Change the plan or the interval",
        description="A dearer plan begins when its difference is paid; a cheaper one with the next period. A preview "
        "needs no Idempotency-Key, and uses none up; the change itself needs one.",
        request=ChangeBody,
        responses=ChangeResponse,
        tags=TAGS,
    )
    @idempotency.keyed_sometimes
    def post(self, request: Request) -> HttpResponseBase:
        wish = serializers.read(request, ChangeBody)
        if not wish.get("preview"):
            return self._change(request, wish)
        found, price, when = _change_of(request, wish)
        return _changed(found, Changed(preview=plan_changes.preview(subscription=found, price=price, when=when)))

    @idempotency.remembered
    def _change(self, request: Request, claim: Claim, wish: dict[str, Any]) -> Response:
        if (begun := checkout.earlier(claim)) is not None:
            return idempotency.replayed(_changed(_of(begun), plan_changes.again(payment=begun)))
        found, price, when = _change_of(request, wish)
        done = plan_changes.change(subscription=found, price=price, wishes=wishes_of(wish), when=when, claim=claim)
        return _changed(found, done)


def _change_of(request: Request, wish: dict[str, Any]) -> tuple[Subscription, PlanPrice, str]:
    asked = serializers.query(request, SubscriptionQuery)
    found = subscriptions.of(callers.customer(request), asked.get("catalogue", ""))
    return found, subscriptions.price_for(found, wish["plan"], wish.get("interval", "")), wish.get("at", "")


class SubscriptionRenewView(ApiView):
    permission_classes = (May,)
    queries = {"POST": SubscriptionQuery}

    @extend_schema(
        operation_id="renew_subscription",
        summary="Pay for the next period",
        description="Where a payment of it is under way already, that one is answered.",
        request=PaymentWish,
        responses=BegunResponse,
        tags=TAGS,
    )
    @idempotency.remembered
    def post(self, request: Request, claim: Claim) -> Response:
        if (begun := checkout.earlier(claim)) is not None:
            return idempotency.replayed(_begun(_of(begun), begun, None, status=200))
        asked = serializers.query(request, SubscriptionQuery)
        wish = serializers.read(request, PaymentWish, required=False)
        found = subscriptions.of(callers.customer(request), asked.get("catalogue", ""))
        wishes = wishes_of(wish) if wish else subscriptions.wishes_of(found)
        payment = subscriptions.renew(subscription=found, wishes=wishes, claim=claim)
        return _begun(found, payment, None, status=200)


class SubscriptionResumeView(ApiView):
    permission_classes = (May,)
    queries = {"POST": SubscriptionQuery}

    @extend_schema(
        operation_id="resume_subscription",
        summary="Resume the subscription",
        request=serializers.NoBody,
        responses=SubscriptionResponse,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        asked = serializers.query(request, SubscriptionQuery)
        serializers.read(request, serializers.NoBody, required=False)
        found = subscriptions.of(callers.customer(request), asked.get("catalogue", ""))
        return Response(told(subscriptions.resume(subscription=found)))


class SubscriptionPortalView(ApiView):
    permission_classes = (May,)
    queries = {"POST": SubscriptionQuery}

    @extend_schema(
        operation_id="subscription_portal",
        summary="Get the page where the customer manages the subscription",
        description="The gateway's own where it renews by itself, else ours.",
        request=PortalBody,
        responses=PortalResponse,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        asked = serializers.query(request, SubscriptionQuery)
        wish = serializers.read(request, PortalBody, required=False)
        found = subscriptions.of(callers.customer(request), asked.get("catalogue", ""))
        if renewing.renews_it(found):
            return Response({"url": renewing.portal(subscription=found, return_url=wish.get("return_url", ""))})
        return Response({"url": dunning.mend_url(found)})


# ---------------------------------------------------------------- shapes


def told(subscription: Subscription) -> dict[str, Any]:
    price, after = subscription.price, subscription.next_price
    dates = calendar.next_dates(reference=subscription.reference, count=NEXT_GRANTS)
    return {
        "id": str(subscription.pk),
        "status": subscription.status,
        "plan": price.plan.code,
        "catalogue": subscription.catalogue,
        "interval": price.interval,
        "amount": price.amount_minor,
        "currency": price.currency,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "current_period_start": subscription.period_start,
        "current_period_end": subscription.paid_until,
        "access_until": dunning.access_until(subscription) if subscription.paid_until else None,
        "trial_until": subscription.trial_until,
        "next_plan": after.plan.code if after else None,
        "next_interval": after.interval if after else None,
        "next_grant_at": dates[0].at if dates else None,
        "next_grants": _dates(dates),
        "renews_by_itself": subscription.is_renewed_by_gateway,
        "ended_at": subscription.ended_at,
        "end_reason": subscription.end_reason,
    }


def _dates(dates: Iterable[Date]) -> list[dict[str, Any]]:
    return [{"at": date.at, "amount": date.amount, "unit": date.unit, "is_paid": date.is_paid} for date in dates]


def _ending(ending: Ending) -> dict[str, Any]:
    return {
        "when": ending.when,
        "ends_at": ending.ends_at,
        "lost_until": ending.lost_until,
        "coming_grants": _dates(ending.coming),
        "lost_grants": _dates(ending.lost),
        "next_amount": ending.next_amount.minor if ending.next_amount else None,
        "next_payment_at": ending.next_payment_at,
        "may_resume": ending.may_resume,
    }


def _begun(
    subscription: Subscription, payment: Payment | None, action: dict[str, object] | None, status: int = 201
) -> Response:
    again = Subscription.objects.of(subscription.user).get(pk=subscription.pk)
    return Response({"subscription": told(again), **_payment(payment, action)}, status=status)


def _changed(subscription: Subscription, done: Changed) -> Response:
    again = Subscription.objects.of(subscription.user).get(pk=subscription.pk)
    return Response(
        {"subscription": told(again), "preview": _preview(done.preview), **_payment(done.payment, done.next_action)}
    )


def _of(begun: Payment) -> Subscription:
    return Subscription.objects.select_related("user").get(pk=begun.details["subscription"])


def _payment(payment: Payment | None, action: dict[str, object] | None) -> dict[str, Any]:
    if payment is None:
        return {"payment": None, "next_action": action or {"type": "none"}}
    again = Payment.objects.with_attempts().get(pk=payment.pk)
    return {"payment": PaymentResponse(again).data, "next_action": next_action(again)}


def _preview(plan: ChangePlan) -> dict[str, Any]:
    return {
        "plan": plan.price.plan.code,
        "interval": plan.price.interval,
        "when": plan.when,
        "begins_at": plan.begins_at,
        "due": plan.due.minor,
        "charge": plan.charge.minor,
        "credit": plan.credit.minor,
        "discount": plan.discount.minor,
        "currency": plan.due.unit,
        "next_amount": plan.next_amount.minor,
        "next_payment_at": plan.next_payment_at,
    }
