"""The spend as most Django teams would write it: DRF's usual classes, select_for_update, one ORM call per row.

It writes the same rows of the same tables as the product's function, so that `check_ledger` proves its books as well.
What it leaves out (debts, limits, the unlimited, events) makes it faster, not slower.
"""

import datetime as dt
import hashlib
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from credits.api import asking
from credits.api.spending import MaySpend
from credits.models import Cost, Grant, Purse, Spend
from ledger.models import Account, Entry, EntryKey, Transfer
from rest.models import ServiceToken
from rest.views import ApiView


class NotEnough(APIException):
    status_code = 402
    default_detail = "Not enough credits."


class SpendSerializer(serializers.Serializer[Any]):
    action = serializers.CharField(max_length=60)
    quantity = serializers.IntegerField(min_value=1, default=1)
    reference = serializers.CharField(max_length=200, default="", allow_blank=True)
    metadata = serializers.DictField(required=False)


class SpentSerializer(serializers.ModelSerializer[Spend]):
    spend = serializers.UUIDField(source="entry_id")
    cost = serializers.IntegerField(source="amount")
    available = serializers.IntegerField(source="available_after")

    class Meta:
        model = Spend
        fields = ("spend", "cost", "available")


class TokenAuthentication(BaseAuthentication):
    """Reads the token and the user of each request, as DRF's own TokenAuthentication does."""

    def authenticate(self, request: Request) -> tuple[User, ServiceToken] | None:
        words = get_authorization_header(request).split()
        if len(words) != 2 or words[0].lower() != b"bearer":  # noqa: PLR2004
            return None
        try:
            token = ServiceToken.objects.get(digest=hashlib.sha256(words[1]).hexdigest(), revoked_at=None)
            user = User.objects.get(username=request.headers.get("X-User-ID", ""), is_active=True)
        except (ServiceToken.DoesNotExist, User.DoesNotExist) as error:
            raise AuthenticationFailed("Unknown token or user.") from error
        return user, token


class HasSpendPermission(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        assert isinstance(request.auth, ServiceToken)
        return request.auth.permissions.filter(codename="spend_credits").exists()


class Throttle(UserRateThrottle):
    rate = "600/min"


class SpendView(APIView):
    """DRF as it comes, with the usual token, permission and throttle classes."""

    parser_classes = (JSONParser,)
    renderer_classes = (JSONRenderer,)
    authentication_classes = (TokenAuthentication,)
    permission_classes = (IsAuthenticated, HasSpendPermission)
    throttle_classes = (Throttle,)

    def post(self, request: Request) -> Response:
        assert isinstance(request.auth, ServiceToken)
        return _spend(request, request.auth.id)


class LeanSpendView(ApiView):
    """The same act behind our own parser, credentials and limits: what the SQL function alone is worth."""

    permission_classes = (MaySpend,)

    def post(self, request: Request) -> Response:
        return _spend(request, asking.who(request)[1])


def _spend(request: Request, token_id: UUID | None) -> Response:
    asked = SpendSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    assert isinstance(request.user, User)
    spend = book(user=request.user, key=request.headers["Idempotency-Key"], token_id=token_id, **asked.validated_data)
    return Response(SpentSerializer(spend).data, status=201)


@transaction.atomic
def book(
    *,
    user: User,
    key: str,
    action: str,
    quantity: int,
    reference: str,
    token_id: UUID | None,
    metadata: dict[str, Any] | None = None,
) -> Spend:
    now = timezone.now()
    purse = Purse.objects.select_for_update().get(user=user, unit="CREDIT")
    name = f"spend:{user.pk}:{key}"
    if known := Spend.objects.filter(entry__entry_key__key=name).first():
        return known
    cost = Cost.objects.filter(action=action, valid_from__lte=now).latest("valid_from")
    amount = cost.least * quantity
    grants = list(_spendable(purse, now).select_related("account").select_for_update(of=("account",)))
    free = sum(grant.account.balance - grant.account.held for grant in grants)
    if free < amount:
        raise NotEnough
    entry = Entry.objects.create(kind="credits.spend")
    fingerprint = UUID(bytes=hashlib.sha256(f"{action}|{quantity}|{reference}".encode()).digest()[:16])
    EntryKey.objects.create(key=name, entry=entry, fingerprint=fingerprint)
    _take(grants, entry, amount)
    spend = Spend.objects.create(
        entry=entry,
        purse=purse,
        action=action,
        cost_version=cost.version,
        quantity=quantity,
        amount=amount,
        available_after=free - amount,
        reference=reference,
        metadata=metadata,
        token_id=token_id,
    )
    _count(purse, amount, now.astimezone(dt.UTC).date())
    return spend


def _spendable(purse: Purse, at: dt.datetime) -> QuerySet[Grant]:
    """The open, unexpired, unfrozen ones in the order in which they burn."""
    usable = Grant.objects.filter(purse=purse, is_open=True, frozen_at__isnull=True, revoked_at__isnull=True)
    alive = usable.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=at))
    return alive.order_by("priority", F("expires_at").asc(nulls_last=True), "-is_promotional", "account_id")


def _take(grants: list[Grant], entry: Entry, amount: int) -> None:
    house = Account.objects.get(name="credits:spent:CREDIT")
    for number, grant in enumerate(grants):
        part = min(grant.account.balance - grant.account.held, amount)
        if part == 0:
            break
        amount -= part
        Transfer.objects.create(entry=entry, number=number, source=grant.account, target=house, amount=part)
        grant.account.balance -= part
        grant.account.save(update_fields=["balance"])
        if grant.account.balance == 0:
            grant.is_open = False
            grant.save(update_fields=["is_open"])


def _count(purse: Purse, amount: int, today: dt.date) -> None:
    month = today.replace(day=1)
    purse.day_spent = amount + (purse.day_spent if purse.day == today else 0)
    purse.month_spent = amount + (purse.month_spent if purse.month == month else 0)
    purse.month_metered = purse.month_metered if purse.month == month else 0
    purse.day, purse.month, purse.version = today, month, F("version") + 1
    purse.save(update_fields=["day", "day_spent", "month", "month_spent", "month_metered", "version"])
