"""Spending: one call of a SQL function per request, which also does it once for each Idempotency-Key."""

from typing import Any

import orjson
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers as answers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from credits import balances, usage
from credits.api import asking
from credits.asked import Use
from credits.usage import Spent, Wish
from rest import callers, fields, idempotency, parsers, serializers
from rest.permissions import HasPermission, OwnerOrService
from rest.views import ApiView

MaySpend = OwnerOrService("credits.spend_credits")
TAGS = ["credits"]


class SpentResponse(answers.Serializer[Any]):
    spend = answers.UUIDField()
    cost = answers.IntegerField(help_text="What it took; 0 for somebody who is unlimited.")
    available = answers.IntegerField(help_text="What was left right after it.")


class SpendView(ApiView):
    permission_classes = (MaySpend,)
    more_errors = ("402",)  # rest.schema reads it
    queries = {"POST": asking.UnitQuery}

    @extend_schema(
        operation_id="spend_credits",
        summary="Spend credits",
        description="By an action of the cost table, or by amount. 402 says what is missing and what to buy.",
        request=asking.SpendRequest,
        responses={201: SpentResponse},
        tags=TAGS,
    )
    @idempotency.keyed
    def post(self, request: Request) -> HttpResponse:
        key = asking.key(request)
        wish = serializers.read(request, asking.SpendRequest)
        user, token_id = asking.who(request)
        spent = usage.spend(user=user, key=key, unit=asking.unit(request), token_id=token_id, **wish)
        return asking.answer(_told(spent), 201, is_replay=spent.is_replay)


class BatchedSpendRequest(asking.SpendRequest):
    """One spend of a batch, with its own key."""

    key = fields.StringField(help_text="As an Idempotency-Key.", bare=True)
    unit = asking.UnitField(required=False, help_text="What `?unit=` says, unless this spend names its own.")


class SpendBatchRequest(serializers.StrictSerializer):
    spends = answers.ListField(
        child=BatchedSpendRequest(), min_length=1, max_length=usage.LARGEST_BATCH, help_text="Each stands for itself."
    )


class BatchedSpendResponse(answers.Serializer[Any]):
    """The answer that the spend would have had alone; `problem` where `status` is no success."""

    key = answers.CharField(allow_null=True)
    status = answers.IntegerField()
    spend = answers.UUIDField(required=False)
    cost = answers.IntegerField(required=False)
    available = answers.IntegerField(required=False)
    replayed = answers.BooleanField(required=False)
    problem = extend_schema_field({"$ref": "#/components/schemas/Problem"})(answers.DictField)(required=False)


class SpendBatchResponse(answers.Serializer[Any]):
    results = BatchedSpendResponse(many=True)


class SpendBatchView(ApiView):
    """Up to 500 spends of one customer in one call, each with its own key, each succeeding or failing by itself."""

    permission_classes = (MaySpend,)
    queries = {"POST": asking.UnitQuery}
    _wish = BatchedSpendRequest()

    @extend_schema(
        operation_id="spend_credits_in_a_batch",
        summary="Spend credits in a batch",
        request=SpendBatchRequest,
        responses=SpendBatchResponse,
        tags=TAGS,
    )
    def post(self, request: Request) -> HttpResponse:
        user, token_id = asking.who(request)
        unit = asking.unit(request)
        usual = {"unit": unit} if unit is not None else {}
        sent = _spends(request.data)
        results: list[dict[str, Any] | None] = [None] * len(sent)
        wishes, places = [], []
        for place, each in enumerate(sent):
            try:
                wishes.append(Wish(user=user, use=Use(**(usual | self._wish.run_validation(each)))))
                places.append(place)
            except ValidationError as mistake:
                results[place] = self._refused(each.get("key") if isinstance(each, dict) else None, mistake)
        booked = usage.spend_many(wishes, token_id=token_id) if wishes else []
        for place, wish, outcome in zip(places, wishes, booked, strict=True):
            if isinstance(outcome, Spent):
                replayed = {"replayed": True} if outcome.is_replay else {}
                results[place] = {"key": wish.use.key, "status": 201, **_told(outcome), **replayed}
            else:
                results[place] = self._refused(wish.use.key, outcome)
        return asking.answer({"results": results})

    def _refused(self, key: Any, error: Exception) -> dict[str, Any]:
        """The very problem that the spend alone would have been answered with."""
        problem = self.get_exception_handler()(error, self.get_exception_handler_context())
        assert isinstance(problem, HttpResponse)  # noqa: S101 - our own handler answers every exception
        known = key if isinstance(key, str) else None
        return {"key": known, "status": problem.status_code, "problem": orjson.Fragment(problem.content)}


class EstimateResponse(answers.Serializer[Any]):
    unit = answers.CharField()
    cost = answers.IntegerField(help_text="At most, where it is not known before.")
    available = answers.IntegerField()
    missing = answers.IntegerField()
    can_pay = answers.BooleanField()
    unlimited = answers.BooleanField()


class EstimateView(ApiView):
    permission_classes = (OwnerOrService("credits.view_purse", "credits.spend_credits"),)
    queries = {"POST": asking.UnitQuery}

    @extend_schema(
        operation_id="estimate_credits",
        summary="Estimate a cost, and whether it can be paid",
        description="Nothing is taken or reserved. Daily and monthly limits are judged by the spend itself.",
        request=asking.UseRequest,
        responses=EstimateResponse,
        tags=TAGS,
    )
    def post(self, request: Request) -> HttpResponse:
        wish = serializers.read(request, asking.UseRequest)
        found = balances.estimate(user=callers.customer(request), unit=asking.unit(request), **wish)
        return asking.answer(
            {
                "unit": found.unit,
                "cost": found.cost,
                "available": found.available,
                "missing": found.missing,
                "can_pay": found.can_pay,
                "unlimited": found.is_unlimited,
            }
        )


class ReverseRequest(serializers.StrictSerializer):
    amount = fields.AmountField(required=False, help_text="All that is left of the spend, unless said.")
    reason = fields.StringField(required=False, max_length=300, allow_blank=True)


class ReversedResponse(answers.Serializer[Any]):
    reversal = answers.UUIDField()
    spend = answers.UUIDField()
    amount = answers.IntegerField()
    available = answers.IntegerField()


class ReverseView(ApiView):
    permission_classes = (HasPermission("credits.reverse_spend"),)

    @extend_schema(
        operation_id="reverse_spend",
        summary="Reverse a spend",
        description="To the grants that it came from. What came from an expired grant comes back as a fresh one.",
        request=ReverseRequest,
        responses={201: ReversedResponse},
        tags=TAGS,
    )
    @idempotency.keyed
    def post(self, request: Request, spend: Any) -> HttpResponse:
        key = asking.key(request)
        wish = serializers.read(request, ReverseRequest, required=False)
        given = usage.reverse(spend=spend, key=key, user=callers.customer(request), **wish)
        told = {"reversal": given.id, "spend": spend, "amount": given.amount, "available": given.available}
        return asking.answer(told, 201, is_replay=given.is_replay)


def _told(spent: Spent) -> dict[str, Any]:
    return {"spend": spent.id, "cost": spent.cost, "available": spent.available}


def _spends(body: Any) -> list[Any]:
    """The outer shape of a batch, which the parser has seen to be an object; each of its spends is judged by itself."""
    mistakes = {name: [ErrorDetail("Unknown field. Known: spends.", "unknown")] for name in body if name != "spends"}
    spends = body.get("spends")
    if "spends" not in body:
        mistakes["spends"] = [ErrorDetail("This field is required.", "required")]
    elif not isinstance(spends, list):
        mistakes["spends"] = [ErrorDetail(f"Send a list, not {parsers.json_type(spends)}.", "invalid")]
    elif not 1 <= len(spends) <= usage.LARGEST_BATCH:
        mistakes["spends"] = [ErrorDetail(f"Send 1 to {usage.LARGEST_BATCH} spends.", "length")]
    if mistakes:
        raise ValidationError(mistakes)
    assert isinstance(spends, list)  # noqa: S101 - or it is among the mistakes
    return spends
