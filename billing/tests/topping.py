"""A customer with a saved card and a consent, for tests of automatic top-ups."""

from typing import Any

from django.contrib.auth.models import User

from billing import top_up
from billing.models import TopUp

WORDS = "I agree to be charged 9.99 € for 250 tokens whenever fewer than 100 are left."


def agree(user: User, **changes: Any) -> TopUp:
    known: dict[str, Any] = {
        "pack": "medium",
        "currency": "EUR",
        "threshold": 100,
        "monthly_cap_minor": 5_000,
        "consent": WORDS,
    }
    return top_up.agree(user=user, by="customer", **known | changes)
