"""A page that embeds the credits widgets, and the token that a team's own server would give it. Never in production."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from config import demo
from storefront.signed_in import SignedIn

TOKEN_MINUTES = 5


class DemoOnly(SignedIn):
    http_method_names = ["get", "head"]
    came_from = "widgets-demo"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if settings.PRODUCTION or not settings.JWT_SECRET:
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class WidgetsView(DemoOnly):
    def get(self, request: HttpRequest) -> HttpResponse:
        answer = render(request, "demo/widgets.html")
        if settings.STREAM_URL:
            # A laptop's streams are at another port, which is another origin to the page's policy.
            stream = urlsplit(settings.STREAM_URL)
            policy = settings.CONTENT_SECURITY_POLICIES[""]
            answer["Content-Security-Policy"] = f"{policy}; connect-src 'self' {stream.scheme}://{stream.netloc}"
        return answer


class TokenView(DemoOnly):
    """What a team's server does for whoever is signed in there: a short token with their id."""

    def get(self, request: HttpRequest) -> HttpResponse:
        life = timedelta(minutes=TOKEN_MINUTES)
        return JsonResponse({"token": demo.sign(self.customer.get_username(), now=datetime.now(UTC), life=life)})
