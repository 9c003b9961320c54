"""A few views that exist for the tests of the shell alone."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.urls import include, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from rest import fields, serializers
from rest.callers import Caller, Kind
from rest.idempotency import Claim, idempotent, remembered
from rest.views import ApiView

handler400 = "config.error_pages.bad_request"
handler403 = "config.error_pages.permission_denied"
handler404 = "config.error_pages.page_not_found"
handler500 = "config.error_pages.server_error"


class LineRequest(serializers.StrictSerializer):
    sku = fields.StringField(max_length=8, bare=True)
    count = fields.IntegerField(min_value=1, max_value=9)


class OrderRequest(serializers.StrictSerializer):
    amount = fields.AmountField()
    currency = fields.CurrencyField()
    country = fields.CountryField(required=False)
    kind = fields.EnumField(choices=["card", "phone"], required=False)
    gift = fields.BooleanField(required=False)
    note = fields.StringField(max_length=20, multiline=True, required=False, allow_blank=True)
    id = fields.UUIDField(required=False)
    at = fields.DateTimeField(required=False)
    zone = fields.TimeZoneField(required=False)
    metadata = fields.MetadataField(required=False)
    lines = LineRequest(many=True, required=False)


class OrderQuery(serializers.QuerySerializer):
    limit = fields.IntegerField(min_value=1, max_value=100, required=False)
    open = fields.BooleanField(required=False)
    id = fields.UUIDField(required=False)


class OpenView(ApiView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()


class OrderView(OpenView):
    queries = {"GET": OrderQuery}

    @extend_schema(operation_id="list_orders", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(serializers.query(request, OrderQuery))

    @extend_schema(operation_id="order", request=OrderRequest, responses={201: OrderRequest})
    def post(self, request: Request) -> Response:
        return Response(serializers.read(request, OrderRequest), status=201)

    @extend_schema(operation_id="cancel_orders", request=None, responses={200: OpenApiTypes.OBJECT})
    def delete(self, request: Request) -> Response:
        return Response(serializers.read(request, serializers.NoBody, required=False))


@extend_schema(exclude=True)
class EchoView(OpenView):
    takes_list = True

    def post(self, request: Request) -> Response:
        return Response({"echo": request.data})


@extend_schema(exclude=True)
class FaultView(OpenView):
    def get(self, request: Request) -> Response:
        facts: dict[str, Any] = {}
        return Response(facts["missing"])


class ByName(BaseAuthentication):
    """`Authorization: customer:ann`, or `service:<token>:ann` for a service that speaks for ann."""

    def authenticate(self, request: Request) -> tuple[User, Caller]:
        kind, *token, name = request.headers["Authorization"].split(":")
        user = User.objects.get(username=name)
        identity = f"service:{token[0]}" if token else f"customer:{user.pk}"
        return user, Caller(kind=Kind(kind), identity=identity, user=user, name=name)


class GroupRequest(serializers.StrictSerializer):
    name = fields.StringField(max_length=150)
    refuse = fields.BooleanField(default=False)


class GroupQuery(serializers.QuerySerializer):
    x = fields.IntegerField(required=False)


def made() -> QuerySet[Group]:
    """The groups that the view below made; those of the house have no hyphen in their names."""
    return Group.objects.filter(name__contains="-")


@extend_schema(exclude=True)
class GroupView(ApiView):
    """Makes a group (any row would do); `before_answer` lets a test stand inside of the effect."""

    authentication_classes = (ByName,)
    permission_classes = ()
    throttle_classes = ()
    queries = {"POST": GroupQuery}
    before_answer: Callable[[], None] = staticmethod(lambda: None)

    @idempotent()
    def post(self, request: Request) -> Response:
        asked = serializers.read(request, GroupRequest)
        number = made().count()
        group = Group.objects.create(name=f"{asked['name']}-{uuid.uuid4()}")
        GroupView.before_answer()
        if asked["refuse"]:
            return Response({"code": "refused"}, status=409)
        if asked["name"] == "fault":
            raise ZeroDivisionError
        answer = {"name": group.name, "number": number}
        return Response(answer, status=201, headers={"Location": f"/groups/{number}", "X-Own": "1"})


@extend_schema(exclude=True)
class LenientGroupView(GroupView):
    @idempotent(required=False)
    def post(self, request: Request) -> Response:
        Group.objects.create(name=str(uuid.uuid4()))
        return Response(status=204)


@extend_schema(exclude=True)
class FarGroupView(ApiView):
    """Commits its group before it answers, as one has to that asks a gateway in between."""

    authentication_classes = (ByName,)
    permission_classes = ()
    throttle_classes = ()

    @remembered
    def post(self, request: Request, claim: Claim) -> Response:
        Group.objects.create(name=f"{claim.key}-{uuid.uuid4()}")
        number = made().count()
        GroupView.before_answer()
        return Response({"number": number}, status=201, headers={"Location": f"/groups/{number}", "X-Own": "1"})


class NoteRequest(serializers.StrictSerializer):
    text = fields.StringField(max_length=10)


class NoteView(ApiView):
    """Takes a key, and the credentials of real callers."""

    @extend_schema(operation_id="note", request=NoteRequest, responses={201: NoteRequest})
    @idempotent()
    def post(self, request: Request) -> Response:
        return Response(serializers.read(request, NoteRequest), status=201)


urlpatterns = [
    path("api/v1/notes", NoteView.as_view()),
    path("api/v1/groups", GroupView.as_view()),
    path("api/v1/lenient-groups", LenientGroupView.as_view()),
    path("api/v1/far-groups", FarGroupView.as_view()),
    path("api/v1/orders", OrderView.as_view()),
    path("api/v1/echo", EchoView.as_view()),
    path("api/v1/fault", FaultView.as_view()),
    path("", include("config.urls")),
]
