"""PayPal's ids: capitals and digits."""

import secrets

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def identifier(length: int = 17) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))
