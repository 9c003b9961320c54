"""What a line of text and an e-mail address may hold, whichever door they come by."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Nothing that is seen, and no XML holds them: a name with one of them would stop the invoice that says it.
CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
# What XML 1.0 refuses, which allows breaks and DEL: https://www.w3.org/TR/xml/#charsets
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
UNKNOWN = "\ufffd"
_BREAKS = dict.fromkeys(map(ord, "\t\n\r"))


def check_line(value: str) -> None:
    """For the models; the API's fields have words of their own."""
    if CONTROLS.search(value):
        raise ValidationError(_("Control characters are not allowed."), code="control")


def has_controls(value: str, *, breaks: bool) -> bool:
    return CONTROLS.search(value.translate(_BREAKS) if breaks else value) is not None


def names_one_address(value: str) -> bool:
    """Django takes "a@b"@example.com, as RFC 5321 does; no gateway and hardly a mail server does."""
    return value.count("@") <= 1


def check_address(value: str) -> None:
    if not names_one_address(value):
        raise ValidationError(_("An e-mail address has one @."), code="invalid")


def for_xml(value: str) -> str:
    """As XML may hold it, with a mark for each character that it may not."""
    return _NOT_IN_XML.sub(UNKNOWN, value)
