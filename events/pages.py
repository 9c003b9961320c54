"""The page behind the link at the end of every e-mail. The signed link is the whole credential, so there is no cookie
to forge with: no CSRF token is asked for, which a mail program's one-click button could not send."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from events import mail, preferences
from events.models import Topic


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class PreferencesView(View):
    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        user = preferences.user_of(token)
        if user is None:
            raise Http404
        chosen = preferences.of(user)
        context: dict[str, Any] = {
            "topics": [(topic, topic.label, chosen[topic]) for topic in Topic],
            "is_saved": "saved" in request.GET,
        }
        response = render(request, "events/preferences.html", context)
        response["Referrer-Policy"] = "no-referrer"  # the address of this page is its key
        return response

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        user = preferences.user_of(token)
        if user is None:
            raise Http404
        if request.POST.get("List-Unsubscribe") == "One-Click":  # RFC 8058
            if topic := mail.topic_of(request.GET.get("kind", "")):
                preferences.change(user, {topic: False})
            return HttpResponse(status=204)
        preferences.change(user, {topic: topic in request.POST for topic in Topic})
        return redirect(f"{request.path}?saved")
