"""Where people who need help can turn to, on any page: also where no request and no context processor is."""

from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def support() -> dict[str, str]:
    """`{% support as help %}{{ help.email }} {{ help.url }}`: each empty where the shop has none."""
    return {"email": settings.SUPPORT_EMAIL, "url": settings.SUPPORT_URL}
