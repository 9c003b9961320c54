"""Where a request comes from, as far as it can be believed."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

ONE_HOME = 64  # the bits of an IPv6 address that belong to the customer's line; the rest they choose freely


def network_of(request: HttpRequest) -> str:
    """The address that limits count by: a whole IPv4 address, or the /64 of an IPv6 one."""
    text = address_of(request)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"  # a Unix socket, for example
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), ONE_HOME), strict=False))


def address_of(request: HttpRequest) -> str:
    """Each trusted proxy appends whom it saw, so only the last TRUSTED_PROXY_COUNT entries are not the caller's own."""
    direct = str(request.META.get("REMOTE_ADDR", ""))
    count = settings.TRUSTED_PROXY_COUNT
    entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if count < 1 or len(entries) < count:
        return direct
    seen = _without_port(entries[-count].strip())
    try:
        ipaddress.ip_address(seen)
    except ValueError:
        return direct
    return seen


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
