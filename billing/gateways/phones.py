"""Telephone numbers as gateways want them, out of E.164."""

import re

from billing.gateways.errors import Declined, FailureCategory

_E164 = re.compile(r"\+?([1-9]\d{7,14})")
# Country calling codes of the countries whose gateways want number and code apart.
CODES = {
    "225": "CI", "221": "SN", "223": "ML", "226": "BF", "228": "TG", "229": "BJ", "227": "NE", "224": "GN", "237": "CM",
    "243": "CD",
}  # fmt: skip


def digits(phone: str, *, gateway: str) -> str:
    """International digits without a plus."""
    found = _E164.fullmatch(re.sub(r"[\s().-]", "", phone))
    if found is None:
        raise Declined(
            "A telephone number in international form is needed.",
            gateway=gateway,
            category=FailureCategory.INVALID_PAYER,
            code="phone",
        )
    return found[1]


def split(phone: str, *, gateway: str) -> tuple[str, str]:
    """Country calling code and national number."""
    number = digits(phone, gateway=gateway)
    if number[:3] not in CODES:
        raise Declined(
            f"{gateway} does not reach this number's country.",
            gateway=gateway,
            category=FailureCategory.INVALID_PAYER,
            code="phone",
        )
    return number[:3], number[3:]
