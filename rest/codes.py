"""The codes of the world that inputs are checked against: countries, currencies, time zones."""

import functools
import zoneinfo

from babel import Locale
from babel.core import get_global

# In Unicode's list and not in ISO 3166: groups of countries, tests, and islands reserved for other uses.
NO_COUNTRIES = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})
NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})


@functools.cache
def countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2, and XK (Kosovo), which gateways use too."""
    known = map(str, Locale("en").territories)
    return frozenset(code for code in known if len(code) == len("FR") and code.isalpha()) - NO_COUNTRIES


@functools.cache
def currencies() -> frozenset[str]:
    """ISO 4217 codes that are legal tender somewhere today."""
    history = get_global("territory_currencies")
    return frozenset(
        code for used in history.values() for code, _, until, is_tender in used if is_tender and until is None
    )


@functools.cache
def time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - NO_ZONES
