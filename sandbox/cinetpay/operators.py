"""Whose telephone number it is, by its first digits, in CinetPay's own codes of payment methods."""

# As the regulators of Cameroon and of the Ivory Coast give them out; a ported number is no matter to a sandbox.
STARTS = {
    "MTNCM": ("23767", "23768", *(f"2376{digits}" for digits in range(50, 55))),
    "OMCM": ("23769", *(f"2376{digits}" for digits in range(55, 60))),
    "MOMO": ("22505",),
    "OM": ("22507",),
    "FLOOZ": ("22501",),
}


def method_of(number: str, *, default: str) -> str:
    """The number with its country's prefix, and no plus sign or with one."""
    digits = number.removeprefix("+")
    return next((code for code, starts in STARTS.items() if digits.startswith(starts)), default)
