"""A toy product: views that cost credits, plain and DRF's, behind the house's real middleware."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import include, path
from rest_framework.request import Request

from credits.decorators import costs_credits
from rest import fields, serializers
from rest.authentication import CallerAuthentication
from rest.views import ApiView

ANSWERS = {"fine": 200, "moved": 302, "refused": 400, "broken": 500}


class Broken(Exception):
    """What a view did not expect."""


def answer(request: Any) -> HttpResponseBase:
    """As the query says: a status, an exception, or a stream that ends, breaks or goes on for ever."""
    asked = request.GET.get("then", "fine")
    if used := request.GET.get("use"):
        request.credits_hold.use(int(used))
    if asked == "raise":
        raise Broken
    if asked.startswith("stream"):
        return StreamingHttpResponse(stream(asked))
    return HttpResponse(asked, status=ANSWERS[asked])


def stream(asked: str) -> Iterator[bytes]:
    yield b"one"
    if asked == "stream-breaks":
        raise Broken
    while asked == "stream-for-ever":
        yield b"more"
    yield b"two"


def signed_in(view: Any) -> Any:
    """What Django's own login does for a plain view."""

    def inner(request: HttpRequest) -> HttpResponseBase:
        found = CallerAuthentication().authenticate(Request(request))
        if found:
            request.user = found[0]
        response: HttpResponseBase = view(request)
        return response

    return inner


@signed_in
@costs_credits("image.generate")
def plain(request: HttpRequest) -> HttpResponseBase:
    return answer(request)


class Asked(serializers.QuerySerializer):
    then = fields.StringField(required=False)
    use = fields.IntegerField(required=False)


class Drawing(ApiView):
    queries = {"POST": Asked}

    @costs_credits("image.generate", quantity=2)
    def post(self, request: Request) -> HttpResponseBase:
        return answer(request)


def free(request: HttpRequest, what: str = "") -> HttpResponseBase:
    return answer(request)


class Rendering(ApiView):
    queries = {"POST": Asked}

    def post(self, request: Request) -> HttpResponseBase:
        return answer(request)


urlpatterns = [
    path("api/toys/plain", plain),
    path("toys/plain", plain),
    path("api/toys/drawing", Drawing.as_view()),
    path("ai/generate", free),
    path("api/ai/generate", free),
    path("api/3d/render-highres", Rendering.as_view()),
    path("api/3d/<str:what>", free),
    path("", include("config.urls")),
]
