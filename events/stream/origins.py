"""Which pages may read a stream: those that may call the API, and our own, which a laptop serves at another port."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

PREFLIGHT_SECONDS = 3_600


def headers(scope: Mapping[str, Any]) -> dict[str, str]:
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")
    allowed = {"access-control-allow-origin": given} if given and given in _allowed() else {}
    return {"vary": "origin", **allowed}


def preflight(scope: Mapping[str, Any]) -> dict[str, str]:
    answer = headers(scope)
    if "access-control-allow-origin" not in answer:
        return answer
    return answer | {
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": ", ".join(settings.CORS_ALLOW_HEADERS),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }


def _allowed() -> set[str]:
    own = urlsplit(settings.BASE_URL)
    return {*settings.CORS_ALLOWED_ORIGINS, f"{own.scheme}://{own.netloc}"}
