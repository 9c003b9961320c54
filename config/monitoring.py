"""Who may read metrics and detailed health: machines on an allow-list, or whoever knows the token."""

import hmac
import ipaddress
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware

PATHS = frozenset({"/metrics", "/health/detailed"})
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")

View = Callable[[HttpRequest], HttpResponse]


def monitors_only(view: View) -> View:
    """Everybody else is told that there is nothing here."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if not (_shows_token(request) or _comes_from_near(request)):
            raise Http404
        return view(request)

    return guarded


class KnownHosts(CommonMiddleware):
    """Only ALLOWED_HOSTS are answered, but a monitor that shows its token asks by whatever address a process has."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path_info in PATHS and _shows_token(request):
            return None
        return super().process_request(request)


def _shows_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), wanted.encode())


def _comes_from_near(request: HttpRequest) -> bool:
    # Through a front everybody has the front's address, which is often the loopback one. Then only the token counts.
    if any(name in request.META for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network, strict=False) for network in settings.METRICS_ALLOWED_IPS)
