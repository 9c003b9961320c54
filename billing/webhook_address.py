"""Where gateways write to us."""

from django.conf import settings


def of(gateway: str, token: str = "") -> str:
    """With the token of an attempt it is known which one a letter is about, whoever signs it or not."""
    return "/".join([settings.BASE_URL, "webhooks", gateway, *([token] if token else [])])
