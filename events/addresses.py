"""Where deliveries may go. A name is resolved once, and whoever connects goes to the address that was judged here."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_noop

from events.errors import AddressRefused

LONGEST_URL = 2_000
PORTS = {"https": 443, "http": 80}
# IPv6 addresses that carry an IPv4 address, to which they lead: translated by the network of whoever sends.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    scheme: str
    host: str
    port: int
    path: str


def target(url: str) -> Target:
    """The parts of an endpoint's URL, or AddressRefused. Looks at the text only."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        said = gettext_noop("Send a URL of up to 2000 plain characters; write other letters as punycode.")
        raise AddressRefused(said)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused(gettext_noop("This is no URL.")) from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise AddressRefused(gettext_noop("Send a URL such as https://shop.example.com/hooks."))
    if parts.scheme == "http" and not settings.WEBHOOKS_ALLOW_HTTP:
        raise AddressRefused(gettext_noop("Deliveries go by https only."))
    if parts.username is not None or parts.password is not None:
        raise AddressRefused(gettext_noop("Leave out the user and the password: deliveries are signed instead."))
    if parts.fragment or "#" in url:
        raise AddressRefused(gettext_noop("Leave out the # and what follows: no server ever sees it."))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=parts.hostname, port=port or PORTS[parts.scheme], path=path)


def resolve(goal: Target) -> str:
    """The address to connect to. One forbidden address among several is enough: a name that leads inside is no friend.

    The names of numbers (`0x7f.1`, `2130706433`) need no rule of their own, for the resolver reads them.
    """
    try:
        found = socket.getaddrinfo(goal.host, goal.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(gettext_noop("The name of this server is not known.")) from None
    addresses = [str(address[0]) for *_, address in found]
    if not settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES and not all(map(is_public, addresses)):
        raise AddressRefused(gettext_noop("This server is not on the public internet."))
    return addresses[0]


def check(url: str) -> None:
    resolve(target(url))


def is_public(text: str) -> bool:
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast and not each.is_reserved for each in _meant(address))


def _meant(address: Address) -> list[Address]:
    """The address, and the IPv4 addresses inside of it."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in TRANSLATED:
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    inside: list[Address] = [address]
    if address.sixtofour is not None:
        inside.append(address.sixtofour)
    if address.teredo is not None:
        inside += address.teredo
    return inside
