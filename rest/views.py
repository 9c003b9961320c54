"""The base of every view of the API, and the endpoint that tells callers how we see them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest import callers
from rest import serializers as readers
from rest.parsers import StrictJSONParser
from rest.renderers import OrjsonRenderer

READING = ("GET", "HEAD")


class NoNegotiation(BaseContentNegotiation):
    """We speak JSON whatever the Accept header asks for, as RFC 9110 allows; it is the same for every request."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type


class ApiRequest(Request):
    """Hands the body to the parser even when it is empty or of no type, so that one place judges every body."""

    def _load_stream(self) -> None:
        self._stream = self._request  # type: ignore[assignment]  # StrictJSONParser reads it as the request it is

    @property
    def content_type(self) -> str:  # type: ignore[override]
        return self._request.META.get("CONTENT_TYPE") or "none"


class ApiView(APIView):
    """One parser, one renderer; nothing is decided per request that a class can know."""

    parser_classes = (StrictJSONParser,)
    renderer_classes = (OrjsonRenderer,)
    content_negotiation_class = NoNegotiation
    versioning_class = None
    metadata_class = None  # no OPTIONS beyond CORS, which its middleware answers
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    permissions_to_write: ClassVar[Sequence[type[BasePermission]] | None] = None  # where they are others than to read
    takes_list: ClassVar[bool] = False  # true where a body may be an array
    # By method, the parameters that may stand in the address: any other is refused. The document says them by this too.
    queries: ClassVar[Mapping[str, type[readers.QuerySerializer]]] = {}

    _parsers = (StrictJSONParser(),)
    _negotiator = NoNegotiation()
    _renderer = (OrjsonRenderer(), OrjsonRenderer.media_type)

    def get_permissions(self) -> Sequence[Any]:
        if self.permissions_to_write is None or self.request.method in READING:
            return super().get_permissions()
        return [each() for each in self.permissions_to_write]

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return ApiRequest(
            request,
            parsers=self._parsers,
            authenticators=self.get_authenticators(),
            negotiator=self._negotiator,
            parser_context={"view": self, "args": args, "kwargs": kwargs},
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request._request.META.get("QUERY_STRING"):  # most requests have none, and pay nothing for it
            method = str(request.method)
            if method.lower() in self.http_method_names and hasattr(self, method.lower()):  # or it is refused itself
                asked = "GET" if method == "HEAD" else method
                readers.query(request, self.queries.get(asked, readers.QuerySerializer))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        return self._renderer


class MeResponse(serializers.Serializer[callers.Caller]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in callers.Kind])
    user = serializers.CharField(allow_null=True, help_text="The customer who is spoken for.")
    name = serializers.CharField(help_text="The customer, or the name of the service token.")
    permissions = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When the credential ends.")


class MeView(ApiView):
    @extend_schema(operation_id="me", summary="Show who is calling", responses=MeResponse, tags=["callers"])
    def get(self, request: Request) -> Response:
        caller = callers.of(request)
        return Response(
            {
                "kind": caller.kind,
                "user": caller.user.get_username() if caller.user else None,
                "name": caller.name,
                "permissions": sorted(caller.permissions),
                "expires_at": caller.expires_at,
            }
        )
