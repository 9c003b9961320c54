"""What every request passes on its way in and every answer on its way out."""

from collections.abc import Callable
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase, UnreadablePostError
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from rest import paths, requestid

Next = Callable[[HttpRequest], HttpResponseBase]


class RequestId:
    """Stands first, so that every line that is logged for this request can carry its id."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        value = requestid.accepted(request.META.get(requestid.IN_META))  # `headers` would read all of them
        token = requestid.bind(value)
        try:
            response = self.get_response(request)
            response[requestid.HEADER] = value
            return response
        finally:
            requestid.reset(token)


class SecurityHeaders:
    """What a browser may do with our answers; Django's SecurityMiddleware adds the rest."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        policies = settings.CONTENT_SECURITY_POLICIES
        prefix = next((each for each in policies if request.path.startswith(each)), "")
        response.headers.setdefault("Content-Security-Policy", policies[prefix])
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        if paths.is_for_machines(request.path):
            # Balances and payments are nobody's to keep; a view that says otherwise is believed.
            response.headers.setdefault("Cache-Control", "no-store")
        return response


class OtherOrigins(CorsMiddleware):
    """What pages of other origins may read. Who names no origin is no such page, as most callers of the API are not."""

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" in request.META or request.method == "OPTIONS":
            return super().__call__(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - this server is synchronous
        if self.is_enabled(request):
            patch_vary_headers(response, ("origin",))
        return response


class PeopleOnly(MiddlewareMixin):
    """Passes machines by: no session, no language, no CSRF check, since none of their credentials is a cookie."""

    def __call__(self, request: HttpRequest) -> Any:
        if paths.is_for_machines(request.path):
            return self.get_response(request)
        return super().__call__(request)

    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        inherited = getattr(super(), "process_view", None)
        if inherited is None or paths.is_for_machines(request.path):
            return None
        return inherited(request, *args)


class PeoplesSession(PeopleOnly, SessionMiddleware):
    pass


class PeoplesLanguage(PeopleOnly, LocaleMiddleware):
    def __call__(self, request: HttpRequest) -> Any:
        if paths.is_for_machines(request.path):
            # The thread still speaks the language of the last visitor that it served.
            translation.activate("en")
        return super().__call__(request)


class PeoplesText:
    """NUL is in no word that a person writes, and no text of PostgreSQL holds it: no page is asked with it. The readers
    of machines say by themselves what they take, and files may hold it."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not paths.is_for_machines(request.path):
            query = request.META.get("QUERY_STRING", "")
            # A cookie may spell it \000 in quotation marks; Django has read that by now, for the language.
            if "\0" in request.path or "%00" in query or any("\0" in value for value in request.COOKIES.values()):
                raise BadRequest("NUL in a path, a query or a cookie.")
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> None:
        """The form is read here at last by nearly every page, since the CSRF check comes next."""
        if request.method == "POST" and not paths.is_for_machines(request.path) and _holds_nul(request):
            raise BadRequest("NUL in a form.")


def _holds_nul(request: HttpRequest) -> bool:
    try:
        form = request.POST
    except UnreadablePostError:  # whoever sent it has gone away
        return False
    return any("\0" in name or any("\0" in each for each in values) for name, values in form.lists())


class OperatorsTimeZone:
    """The admin's pages tell times by the operators' clock; pages of customers have each customer's."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/admin/"):
            return self.get_response(request)
        with timezone.override(settings.OPERATORS_TIME_ZONE):
            return self.get_response(request)


class PeoplesCsrf(PeopleOnly, CsrfViewMiddleware):
    pass


class PeoplesLogin(PeopleOnly, AuthenticationMiddleware):
    pass


class PeoplesMessages(PeopleOnly, MessageMiddleware):
    pass
