"""Reading: how a customer stands, what happened, and where every credit came from and went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request

from credits import balances, history
from credits.api import asking
from credits.api.spending import TAGS
from credits.balances import Balance, OpenGrant
from credits.history import Explanation, Transaction
from ledger import ids
from ledger.money import CREDIT
from rest import callers, fields, pagination, serializers, spreadsheets
from rest.permissions import OwnerOrService
from rest.views import ApiView

MayRead = OwnerOrService("credits.view_purse", "credits.view_spend")
MOST_SCANNED = 10_000  # transactions looked through for one page of a filtered list
KINDS = (
    "credits.grant",
    "credits.spend",
    "credits.reversal",
    "credits.expiry",
    "credits.revocation",
    "credits.adjustment",
    "credits.repayment",
)


# ---------------------------------------------------------------- balance


class OpenGrantResponse(answers.Serializer[Any]):
    grant = answers.UUIDField()
    source = answers.CharField()  # type: ignore[assignment]  # DRF has a method of this name
    amount = answers.IntegerField(help_text="What was given.")
    available = answers.IntegerField()
    held = answers.IntegerField()
    promotional = answers.BooleanField()
    frozen = answers.BooleanField()
    expires_at = answers.DateTimeField(allow_null=True)


class NextExpiryResponse(answers.Serializer[Any]):
    grant = answers.UUIDField()
    amount = answers.IntegerField()
    at = answers.DateTimeField()


class BalanceResponse(answers.Serializer[Any]):
    unit = answers.CharField()
    available = answers.IntegerField()
    held = answers.IntegerField()
    owed = answers.IntegerField()
    unlimited = answers.BooleanField()
    state = answers.ChoiceField(choices=["ok", "low", "empty"])
    version = answers.IntegerField(help_text="Rises with every change: a lower one is older.")
    grants = OpenGrantResponse(many=True, help_text="In the order in which they are used.")
    next_expiry = NextExpiryResponse(allow_null=True)


class BalanceView(ApiView):
    permission_classes = (OwnerOrService("credits.view_purse", "credits.spend_credits"),)
    queries = {"GET": asking.UnitQuery}

    @extend_schema(
        operation_id="credits_balance",
        summary="Show the customer's balance",
        responses=BalanceResponse,
        tags=TAGS,
    )
    def get(self, request: Request) -> HttpResponse:
        return asking.answer(_balance(balances.of(callers.customer(request), asking.unit(request) or CREDIT)))


def _balance(balance: Balance) -> dict[str, Any]:
    ending = balance.next_expiry
    return {
        "unit": balance.unit,
        "available": balance.available,
        "held": balance.held,
        "owed": balance.owed,
        "unlimited": balance.is_unlimited,
        "state": balance.state,
        "version": balance.version,
        "grants": [_grant(grant) for grant in balance.grants],
        "next_expiry": (
            {"grant": ending.id, "amount": ending.available + ending.held, "at": ending.expires_at} if ending else None
        ),
    }


def _grant(grant: OpenGrant) -> dict[str, Any]:
    return {
        "grant": grant.id,
        "source": grant.source,
        "amount": grant.amount,
        "available": grant.available,
        "held": grant.held,
        "promotional": grant.is_promotional,
        "frozen": grant.is_frozen,
        "expires_at": grant.expires_at,
    }


# ---------------------------------------------------------------- transactions


class TransactionsQuery(pagination.PageQuery):
    unit = asking.UnitField(required=False)
    kind = fields.EnumField(choices=KINDS, required=False)
    action = fields.StringField(required=False, max_length=60, bare=True)
    since = fields.DateTimeField(required=False)
    until = fields.DateTimeField(required=False, help_text="Before this instant.")
    format = fields.EnumField(choices=["json", "csv"], required=False)


class TransactionResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    kind = answers.ChoiceField(choices=KINDS)
    at = answers.DateTimeField()
    change = answers.IntegerField(help_text="What it changed over all grants and the debt.")
    metered = answers.IntegerField(help_text="What it would have cost somebody who is not unlimited.")
    action = answers.CharField()
    reference = answers.CharField()
    reverses = answers.UUIDField(allow_null=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which of a customer's transactions are wanted, newest first."""

    user: User
    unit: str
    before: UUID | None
    since: datetime | None
    kind: str | None
    action: str | None

    def fits(self, each: Transaction) -> bool:
        return self.kind in (None, each.kind) and self.action in (None, each.action)

    def pages(self) -> Iterator[Sequence[Transaction]]:
        """All transactions from the cursor back to the beginning, fitting or not, in large pages."""
        before, oldest = self.before, ids.first_at(self.since) if self.since else UUID(int=0)
        while True:
            found = history.transactions(user=self.user, unit=self.unit, before=before, limit=history.LARGEST_PAGE)
            wanted = [each for each in found if each.id >= oldest]
            yield wanted
            if len(found) < history.LARGEST_PAGE or len(wanted) < len(found):
                return
            before = found[-1].id


class TransactionsView(ApiView):
    permission_classes = (MayRead,)
    queries = {"GET": TransactionsQuery}

    @extend_schema(
        operation_id="credits_transactions",
        summary="List the customer's transactions",
        description=(
            "Newest first, by cursor; `previous` is always null. A filtered page may be short though `next` is there. "
            "`?format=csv`, or `Accept: text/csv`, gives all that fits in one file."
        ),
        responses={
            (200, "application/json"): pagination.page_of(TransactionResponse),
            (200, "text/csv"): OpenApiTypes.STR,
        },
        tags=TAGS,
    )
    def get(self, request: Request) -> HttpResponseBase:
        asked = serializers.query(request, TransactionsQuery)
        wanted = Filter(
            user=callers.customer(request),
            unit=asked.get("unit", CREDIT),
            before=_before(asked),
            since=asked.get("since"),
            kind=asked.get("kind"),
            action=asked.get("action"),
        )
        if spreadsheets.are_wanted(request, asked):
            return spreadsheets.answer(_csv(wanted), "credits")
        rows, following = _page(wanted, asked["limit"])
        return asking.answer({"next": pagination.older(request, following), "previous": None, "results": rows})


def _page(wanted: Filter, limit: int) -> tuple[list[Transaction], UUID | None]:
    """A page, and the id after which the next one begins. A rare kind is looked for in bounded steps."""
    if wanted.kind is None and wanted.action is None and wanted.since is None:
        found = history.transactions(user=wanted.user, unit=wanted.unit, before=wanted.before, limit=limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None
    rows: list[Transaction] = []
    scanned = 0
    for page in wanted.pages():
        for each in page:
            if wanted.fits(each):
                if len(rows) == limit:
                    return rows, rows[-1].id
                rows.append(each)
        scanned += len(page)
        if scanned >= MOST_SCANNED:
            return rows, page[-1].id if page else None
    return rows, None


def _csv(wanted: Filter) -> Iterator[list[Sequence[Any]]]:
    columns = ("id", "kind", "at", "change", "metered", "action", "reference", "reverses")
    yield [columns]
    for page in wanted.pages():
        yield [[getattr(each, name) for name in columns] for each in page if wanted.fits(each)]


def _before(asked: dict[str, Any]) -> UUID | None:
    edges = [pagination.edge_of(asked["cursor"])] if asked.get("cursor") else []
    if "until" in asked:
        edges.append(ids.first_at(asked["until"]))
    return min(edges, default=None)


# ---------------------------------------------------------------- explain


class ExplainQuery(asking.UnitQuery):
    at = fields.DateTimeField(required=False, help_text="As of this instant.")


class ExplainedLineResponse(answers.Serializer[Any]):
    entry = answers.UUIDField()
    kind = answers.CharField()
    at = answers.DateTimeField()
    change = answers.IntegerField()
    left = answers.IntegerField()
    action = answers.CharField()
    reference = answers.CharField()


class ExplainedLotResponse(answers.Serializer[Any]):
    grant = answers.UUIDField(allow_null=True, help_text="Null for what is owed.")
    source = answers.CharField()  # type: ignore[assignment]  # DRF has a method of this name
    expires_at = answers.DateTimeField(allow_null=True)
    left = answers.IntegerField()
    lines = ExplainedLineResponse(many=True)


class ExplainResponse(answers.Serializer[Any]):
    unit = answers.CharField()
    balance = answers.IntegerField(help_text="The sum of all lines. What is held is part of it.")
    lots = ExplainedLotResponse(many=True)


class ExplainView(ApiView):
    permission_classes = (MayRead,)
    queries = {"GET": ExplainQuery}

    @extend_schema(
        operation_id="explain_credits",
        summary="Explain where every credit came from and went",
        description="Now, or as of an instant. The lines of all lots sum to the balance of that instant.",
        responses=ExplainResponse,
        tags=TAGS,
    )
    def get(self, request: Request) -> HttpResponse:
        asked = serializers.query(request, ExplainQuery)
        found = history.explain(user=callers.customer(request), unit=asked.get("unit", CREDIT), at=asked.get("at"))
        return asking.answer(_explained(found))


def _explained(found: Explanation) -> dict[str, Any]:
    lots = [
        {"grant": lot.id, "source": lot.source, "expires_at": lot.expires_at, "left": lot.left, "lines": lot.lines}
        for lot in found.lots
    ]
    return {"unit": found.unit, "balance": found.balance, "lots": lots}
