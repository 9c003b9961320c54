"""Holds: reserve for work under way, then settle what it used, or release."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request

from credits import holds
from credits.api import asking
from credits.api.spending import TAGS, MaySpend, SpentResponse
from rest import callers, fields, idempotency, serializers
from rest.views import ApiView


class HoldRequest(asking.SpendRequest):
    """What to reserve: the action's cost, or the most that it can cost, or an amount."""

    seconds = fields.IntegerField(
        required=False,
        min_value=1,
        max_value=settings.CREDITS_HOLD_LONGEST_SECONDS,
        help_text="How long it lasts; an expired hold is given back.",
    )


class HeldResponse(answers.Serializer[Any]):
    hold = answers.UUIDField()
    amount = answers.IntegerField()
    available = answers.IntegerField(help_text="What was left beside it.")
    expires_at = answers.DateTimeField(help_text="When what is not settled or released is given back.")


class HoldsView(ApiView):
    permission_classes = (MaySpend,)
    more_errors = ("402",)  # rest.schema reads it
    queries = {"POST": asking.UnitQuery}

    @extend_schema(
        operation_id="hold_credits",
        summary="Hold credits",
        request=HoldRequest,
        responses={201: HeldResponse},
        tags=TAGS,
    )
    @idempotency.keyed
    def post(self, request: Request) -> HttpResponse:
        key = asking.key(request)
        wish = serializers.read(request, HoldRequest)
        user, token_id = asking.who(request)
        by_customer = callers.of(request).is_customer
        held = holds.reserve(
            user=user, key=key, unit=asking.unit(request), token_id=token_id, by_customer=by_customer, **wish
        )
        told = {"hold": held.id, "amount": held.amount, "available": held.available, "expires_at": held.expires_at}
        return asking.answer(told, 201, is_replay=held.is_replay)


class SettleRequest(serializers.StrictSerializer):
    amount = fields.AmountField(required=False, help_text="All that is held, unless said; the rest is free again.")


class SettleView(ApiView):
    """A hold is settled once by its nature, so the key is needed only by callers that repeat blindly."""

    permission_classes = (MaySpend,)
    more_errors = ("402",)  # rest.schema reads it

    @extend_schema(
        operation_id="settle_hold",
        summary="Settle a hold",
        description="A customer settles holds of their own making; another is not found.",
        request=SettleRequest,
        responses={201: SpentResponse},
        tags=TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, hold: UUID) -> HttpResponse:
        wish = serializers.read(request, SettleRequest, required=False)
        spent = holds.settle(hold=hold, user=_whose(request, hold), **wish)
        return asking.kept({"spend": spent.id, "cost": spent.cost, "available": spent.available}, 201)


class ReleasedResponse(answers.Serializer[Any]):
    hold = answers.UUIDField()
    amount = answers.IntegerField()
    available = answers.IntegerField()


class ReleaseView(ApiView):
    permission_classes = (MaySpend,)

    @extend_schema(
        operation_id="release_hold",
        summary="Release a hold",
        description="A customer releases holds of their own making; another is not found.",
        request=serializers.NoBody,
        responses={200: ReleasedResponse},
        tags=TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request, hold: UUID) -> HttpResponse:
        serializers.read(request, serializers.NoBody, required=False)
        freed = holds.release(hold=hold, user=_whose(request, hold))
        return asking.kept({"hold": freed.id, "amount": freed.amount, "available": freed.available}, 200)


def _whose(request: Request, hold: UUID) -> User:
    """Whose hold is to be ended. Customers end those that they made; by the others they pay for work of the house."""
    user = callers.customer(request)
    if callers.of(request).is_customer:
        holds.check_own(hold=hold, user=user)
    return user
