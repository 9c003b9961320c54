"""Settings that are amounts by currency: `EUR=1000,XOF=5000`, in minor units."""

import re

from django.core.exceptions import ImproperlyConfigured

from ledger.money import LARGEST_MINOR, is_currency

_ONE = re.compile(r"([A-Z]{3})=([0-9]{1,16})")


def by_currency(name: str, text: str) -> dict[str, int]:
    """What is not written this way stops the start: a limit that is misspelt would be no limit."""
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _ONE.fullmatch(part)
        if match is None or not is_currency(match[1]) or int(match[2]) > LARGEST_MINOR or match[1] in found:
            raise ImproperlyConfigured(f"{name}: {part!r} is not understood. Write for example EUR=1000,XOF=5000.")
        found[match[1]] = int(match[2])
    return found
