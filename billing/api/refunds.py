"""Refunds: asked for by services, seen by their customers."""

import hashlib
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import errors, refunds
from billing.models import Payment, Refund
from billing.models.refunds import RefundOrigin, RefundPolicy, RefundStatus
from billing.refund_plans import Plan
from billing.sale_payments import Share
from ledger.money import Money
from rest import callers, fields, idempotency, serializers
from rest.callers import Caller
from rest.errors import IdempotencyKeyReused
from rest.permissions import HasPermission, OwnerOrService
from rest.views import ApiView

TAGS = ["refunds"]


class PlanRequest(serializers.StrictSerializer):
    payment = fields.UUIDField()
    amount = fields.AmountField(required=False, help_text="In minor units; all that is left unless said.")
    policy = fields.EnumField(
        choices=RefundPolicy.values,
        required=False,
        help_text="What happens to spent credits; the shop's own unless said.",
    )


class RefundRequest(PlanRequest):
    reason = fields.StringField(max_length=300, bare=True)


class RefundShareResponse(answers.Serializer[Share]):
    """Of what sellers sold: how much falls on one sale, and who bears it."""

    seller = answers.CharField(source="sale.wallet.seller.user.username")
    reference = answers.CharField(source="sale.reference")
    amount = answers.IntegerField(source="amount.minor")
    from_seller = answers.SerializerMethodField(help_text="Pending, in reserve, available, or owed from then on.")
    commission = answers.IntegerField(source="plan.commission.minor")
    our_cost = answers.IntegerField(source="plan.cost.minor", help_text="Withdrawn by the seller already.")

    def get_from_seller(self, share: Share) -> int:
        return share.plan.net.minor - share.plan.cost.minor


class RefundPlanResponse(answers.Serializer[Plan]):
    amount = answers.IntegerField(source="amount.minor")
    currency = answers.CharField(source="amount.unit")
    tax = answers.IntegerField(source="tax.minor")
    policy = answers.ChoiceField(choices=RefundPolicy.values)
    refundable = answers.IntegerField(help_text="What of the payment could be refunded at most.")
    credits_taken = answers.IntegerField(source="taken")
    credits_owed = answers.IntegerField(source="owed", help_text="Spent already: the next credits pay for them.")
    credits_gone = answers.IntegerField(source="gone", help_text="Revoked or expired before: owed by nobody.")
    credits_kept = answers.IntegerField(source="kept", help_text="Left to the customer, at the shop's cost.")
    sales = RefundShareResponse(source="shares", many=True)
    stops_top_up = answers.BooleanField(help_text="Until the customer agrees to it anew.")


class RefundResponse(answers.Serializer[Refund]):
    id = answers.UUIDField()
    payment = answers.UUIDField(source="payment_id")
    status = answers.ChoiceField(choices=RefundStatus.values)
    origin = answers.ChoiceField(choices=RefundOrigin.values)
    policy = answers.ChoiceField(choices=RefundPolicy.values)
    amount = answers.IntegerField(source="amount_minor")
    tax = answers.IntegerField(source="tax_minor")
    currency = answers.CharField()
    credits_taken = answers.SerializerMethodField()
    credits_owed = answers.IntegerField()
    reason = answers.CharField()
    failure = answers.CharField(source="failure_category", help_text="Empty unless it failed.")
    created_at = answers.DateTimeField()
    ended_at = answers.DateTimeField(allow_null=True)

    def get_credits_taken(self, refund: Refund) -> int:
        return sum(refund.lines.values())


class RefundsView(ApiView):
    permission_classes = (HasPermission("billing.request_refund"),)

    @extend_schema(
        operation_id="request_refund",
        summary="Request a refund",
        description=(
            "All of a payment or a part of it. What the customer must give back for it is held until the gateway has "
            "sent the money. Where the gateway cannot send any, the refund waits for an operator: status `manual`."
        ),
        request=RefundRequest,
        responses={201: RefundResponse},
        tags=TAGS,
    )
    @idempotency.idempotent()
    def post(self, request: Request) -> HttpResponse:
        wish = serializers.read(request, RefundRequest)
        payment = _payment(request, wish["payment"])
        refund = refunds.request(
            payment=payment,
            amount=_amount(wish, payment),
            policy=RefundPolicy(wish["policy"]) if "policy" in wish else None,
            reason=wish["reason"],
            caller=callers.of(request).identity,
            key=_key(request, payment),
        )
        if not _is_of(refund, wish):
            raise IdempotencyKeyReused
        return Response(RefundResponse(refund).data, status=201)


class RefundPreviewView(ApiView):
    permission_classes = (HasPermission("billing.request_refund"),)

    @extend_schema(
        operation_id="preview_refund",
        summary="Preview a refund",
        request=PlanRequest,
        responses=RefundPlanResponse,
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        wish = serializers.read(request, PlanRequest)
        payment = _payment(request, wish["payment"])
        policy = RefundPolicy(wish["policy"]) if "policy" in wish else None
        plan = refunds.preview(payment=payment, amount=_amount(wish, payment), policy=policy)
        return Response(RefundPlanResponse(plan).data)


class MayRead(OwnerOrService("billing.view_refund")):  # type: ignore[misc]  # a class that is made
    """A service sees any customer's refund, and where it names a customer, theirs alone."""

    def is_enough(self, request: Request, caller: Caller) -> bool:
        return caller.is_customer or "billing.view_refund" in caller.permissions


class RefundView(ApiView):
    permission_classes = (MayRead,)

    @extend_schema(operation_id="refund", summary="Show a refund", responses=RefundResponse, tags=TAGS)
    def get(self, request: Request, refund_id: UUID) -> Response:
        user = callers.of(request).user
        rows = Refund.objects.filter(pk=refund_id)
        if user is not None:
            rows = rows.filter(payment__user=user)
        refund = rows.first()
        if refund is None:
            raise errors.NotYours
        return Response(RefundResponse(refund).data)


def _payment(request: Request, payment_id: UUID) -> Payment:
    """Any customer's, unless the service speaks for one."""
    user = callers.of(request).user
    rows = Payment.objects.filter(pk=payment_id)
    payment = (rows.of(user) if user is not None else rows).first()
    if payment is None:
        raise errors.NotYours
    return payment


def _key(request: Request, payment: Payment) -> str:
    """The record of an Idempotency-Key ends after a day; by this name the refund is made once for ever."""
    parts = [callers.of(request).identity, str(payment.pk), request.headers[idempotency.HEADER]]
    return f"api:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}"


def _is_of(refund: Refund, wish: dict[str, Any]) -> bool:
    """Whether this is what was asked for; a proportional one may be of less."""
    asked, policy = wish.get("amount", refund.amount_minor), wish.get("policy", refund.policy)
    is_less = refund.policy == RefundPolicy.PROPORTIONAL and refund.amount_minor < asked
    same_amount = refund.amount_minor == asked or is_less
    return refund.reason == wish["reason"] and refund.policy == policy and same_amount


def _amount(wish: dict[str, Any], payment: Payment) -> Money | None:
    return Money(wish["amount"], payment.currency) if "amount" in wish else None
