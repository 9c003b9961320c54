"""Our reference in the letters and digits that a gateway accepts, and back."""

import hashlib
import string
import uuid

LENGTH = 32
_DIGITS = string.digits + string.ascii_lowercase
_SHORT_LENGTH = 25  # 36 ** 25 is more than 16 ** 32


def as_uuid(reference: str) -> str:
    return str(uuid.UUID(hex=reference))


def short(reference: str) -> str:
    """25 letters and digits, for gateways that take at most 30."""
    number, found = int(reference, 16), ""
    while number:
        number, digit = divmod(number, 36)
        found = _DIGITS[digit] + found
    return found.rjust(_SHORT_LENGTH, "0")


def from_short(text: object) -> str:
    """The reference that was shortened; empty when this is none of ours."""
    if not isinstance(text, str) or len(text) != _SHORT_LENGTH or not set(text) <= set(_DIGITS):
        return ""
    found = f"{int(text, 36):032x}"
    return found if len(found) == LENGTH else ""


def checked(text: object) -> str:
    """A reference of ours as a gateway echoes it; empty when this is none."""
    if not isinstance(text, str):
        return ""
    bare = text.replace("-", "").lower()
    return bare if len(bare) == LENGTH and set(bare) <= set(string.hexdigits) else ""


def fingerprint(*parts: bytes | str) -> str:
    """Of a letter that has no id of its own, and of tokens that we recognise but do not keep."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
