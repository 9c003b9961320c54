"""Where buyers are sent after they paid or walked away: only to hosts that the shop has named."""

from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings

from billing import errors


def checked(url: str, field: str) -> str:
    """The address, if it may be one; nothing stands for the shop's own page."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise errors.ReturnUrlRefused(field, settings.CHECKOUT_RETURN_HOSTS) from error
    named = f"{host}:{port}" if port else host
    own = urlsplit(settings.BASE_URL).netloc  # pages of ours are where our own buttons lead back
    secure = parts.scheme == "https" or (parts.scheme == "http" and not settings.PRODUCTION)
    plain = parts.username is None and parts.password is None and url.isascii() and "\\" not in url
    if not (secure and plain and (named in settings.CHECKOUT_RETURN_HOSTS or named == own)):
        raise errors.ReturnUrlRefused(field, settings.CHECKOUT_RETURN_HOSTS)
    return url


def told(url: str, fallback: str, known: UUID, *, name: str = "payment") -> str:
    """The address with the id of the payment, or of what else it is, so that the page knows what to ask about."""
    parts = urlsplit(url or fallback)
    query = "&".join(filter(None, [parts.query, urlencode({name: str(known)})]))
    return urlunsplit(parts._replace(query=query))
