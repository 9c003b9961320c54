"""Into the inbox: what a gateway says happened, each event once, whether it wrote to us or was asked."""

from collections.abc import Sequence

import orjson

from billing.gateways.base import Hint, Subject
from credits import procedures
from ledger.ids import uuid7

# Whoever comes second with an event does nothing. Times and defaults are the database's.
_STORE = """
    INSERT INTO billing_gatewayletter (
        id, gateway, event_id, kind, subject, trust, token, reference, ids, facts, amount_minor, currency, occurred_at)
    VALUES (%s::uuid, %s::text, %s::text, %s::text, %s::text, %s::text, %s::text, %s::text, %s::jsonb, %s::jsonb,
            %s::bigint, %s::text, %s::timestamptz)
    ON CONFLICT (gateway, event_id) DO NOTHING RETURNING 1
"""
# What our own handling needs beyond ids; of all others the gateway itself is asked, and nothing personal is kept.
_WITH_FACTS = {Subject.DISPUTE, Subject.REFUND, Subject.SUBSCRIPTION, Subject.INVOICE, Subject.PAYOUT}


def store(gateway: str, hints: Sequence[Hint], *, token: str = "") -> int:
    """Each event once; how many were new."""
    return sum(len(procedures.rows(_STORE, _row(gateway, hint, token))) for hint in hints)


def _row(gateway: str, hint: Hint, token: str) -> tuple[object, ...]:
    return (
        uuid7(),
        gateway,
        hint.event_id[:255],
        hint.kind[:100],
        hint.subject.value,
        hint.trust.value,
        token[:64],
        hint.reference[:64],
        orjson.dumps(dict(hint.ids)).decode(),
        orjson.dumps(dict(hint.object)).decode() if hint.subject in _WITH_FACTS else "{}",
        hint.amount.minor if hint.amount else None,
        hint.amount.unit if hint.amount else "",
        hint.occurred_at,
    )
