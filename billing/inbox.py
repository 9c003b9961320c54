"""The inbox: what a gateway says happened is stored once; read later, it says where to look, and the gateway is asked.

The worker takes some letters at a time by a lease, so that no lock is held while a gateway is asked, and a worker that
dies gives them back. Several letters about one attempt in one batch are one question.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import orjson
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from prometheus_client import Counter

from billing import readers
from billing.gateways import errors as gateway_errors
from billing.gateways.base import NOT_KEPT, Hint, Trust
from billing.gateways.subjects import Subject
from billing.models import GatewayLetter
from billing.models.inbox import OVER, LetterState
from billing.readers import Batch, MayBeOurs, NotKnownYet
from credits import procedures
from credits.prepared import Parameter
from ledger.ids import uuid7
from rest import sweeps

logger = logging.getLogger(__name__)

READ = Counter("payment_webhooks_read", "Notifications of gateways that were read.", ["gateway", "state"])
STRANGER_TRIES = 3  # a letter may be faster than what it is about

# Whoever comes second with an event does nothing. Times and defaults are the database's.
_STORE = """
    INSERT INTO billing_gatewayletter (
        id, gateway, event_id, kind, subject, trust, token, reference, ids, facts, amount_minor, currency, occurred_at)
    VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::jsonb, $10::jsonb,
            $11::bigint, $12::text, $13::timestamptz)
    ON CONFLICT (gateway, event_id) DO NOTHING RETURNING 1
"""
# What our own handling needs beyond ids; of all others the gateway itself is asked, and nothing personal is kept.
_WITH_FACTS = {
    Subject.DISPUTE, Subject.REFUND, Subject.REVERSAL, Subject.SUBSCRIPTION, Subject.INVOICE, Subject.PAYOUT,
}  # fmt: skip
_CLAIM = """
    UPDATE billing_gatewayletter SET tries = tries + 1, next_try_at = %(until)s
     WHERE id IN (
            SELECT id FROM billing_gatewayletter WHERE state = 'pending' AND next_try_at <= %(now)s
             ORDER BY next_try_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
           )
    RETURNING *
"""


# ---------------------------------------------------------------- in


def store(gateway: str, hints: Sequence[Hint], *, token: str = "") -> int:
    """Each event once; how many were new."""
    return sum(procedures.one_row(_STORE, _row(gateway, hint, token)) == [b"1"] for hint in hints)


def _row(gateway: str, hint: Hint, token: str) -> tuple[Parameter, ...]:
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
        _facts(hint.object) if hint.subject in _WITH_FACTS else "{}",
        hint.amount.minor if hint.amount else None,
        hint.amount.unit if hint.amount else "",
        hint.occurred_at,
    )


def _facts(carried: Mapping[str, object]) -> str:
    """What a letter carries, as jsonb takes it: a buyer's words may hold what it refuses, and the rest still counts."""
    try:
        written = orjson.dumps(dict(carried)).decode()
    except TypeError:  # half of a character, or a number beyond 64 bits
        written = ""
    return written if written and "\\u0000" not in written else orjson.dumps(_kept(carried)).decode()


def _kept(value: object) -> object:
    if isinstance(value, str):
        return NOT_KEPT.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {NOT_KEPT.sub("\ufffd", str(name)): _kept(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(each) for each in value]
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


# ---------------------------------------------------------------- read


def drain(now: datetime | None = None) -> int:
    """Read whatever is due, for as long as a task should run; returns how many letters were read."""
    ends, total = time.monotonic() + settings.INBOX_DRAIN_SECONDS, 0
    while time.monotonic() < ends and (batch := _claim(now or timezone.now())):
        _read_all(batch)
        total += len(batch)
    return total


def _claim(now: datetime) -> list[GatewayLetter]:
    until = now + timedelta(seconds=settings.INBOX_LEASE_SECONDS)
    found = GatewayLetter.objects.raw(_CLAIM, {"now": now, "until": until, "most": settings.INBOX_BATCH})
    return sorted(found, key=lambda letter: letter.pk)


def _read_all(found: list[GatewayLetter]) -> None:
    batch = Batch()
    for letter in found:
        with sweeps.alone("inbox.failed", letter=str(letter.pk), kind=letter.kind) as row:
            _read(letter, batch)
        if row.fault is not None:  # people see it in the admin
            _later(letter, f"{type(row.fault).__name__}: {row.fault}", last=LetterState.DEAD)


def _read(letter: GatewayLetter, batch: Batch) -> None:
    try:
        state = readers.read(letter, batch)
    except NotKnownYet as unknown:
        _later(letter, str(unknown), last=LetterState.UNKNOWN, most=STRANGER_TRIES)
    except MayBeOurs as unsure:  # money has moved, and the end of ours may be hours away
        _later(letter, str(unsure), last=LetterState.DEAD)
    except gateway_errors.GatewayError as error:
        _later(letter, f"{type(error).__name__}: {error}", last=LetterState.DEAD)
    else:
        _close(letter, state)


def _close(letter: GatewayLetter, state: LetterState, error: str = "") -> None:
    pending = GatewayLetter.objects.filter(pk=letter.pk, state=LetterState.PENDING)
    pending.update(state=state, handled_at=timezone.now(), error=error[:500])
    READ.labels(letter.gateway, state.value).inc()


def _later(letter: GatewayLetter, error: str, *, last: LetterState, most: int | None = None) -> None:
    pauses = settings.INBOX_RETRY_SECONDS
    if letter.tries > min(most or len(pauses), len(pauses)):
        _close(letter, last, error)
        logger.error("inbox.given_up", extra={"letter": str(letter.pk), "kind": letter.kind, "state": last.value})
        return
    then = timezone.now() + timedelta(seconds=pauses[letter.tries - 1])
    GatewayLetter.objects.filter(pk=letter.pk, state=LetterState.PENDING).update(next_try_at=then, error=error[:500])


# ---------------------------------------------------------------- upkeep


def replay(letter: GatewayLetter) -> bool:
    """Read it once more, as if it had just come; says whether there was anything to replay."""
    over = GatewayLetter.objects.filter(pk=letter.pk).exclude(state=LetterState.PENDING)
    return bool(over.update(state=LetterState.PENDING, tries=0, next_try_at=timezone.now(), error="", handled_at=None))


def purge() -> int:
    """Forget what was done long ago, and sooner what a stranger may have written; what is for people stays."""
    until = timezone.now() - timedelta(days=settings.INBOX_KEEP_DAYS)
    total = _forget(GatewayLetter.objects.filter(received_at__lt=until, state__in=OVER))
    until = timezone.now() - timedelta(days=settings.INBOX_KEEP_STRANGE_DAYS)
    unknown = GatewayLetter.objects.filter(received_at__lt=until, state=LetterState.UNKNOWN)
    return total + _forget(unknown.exclude(trust=Trust.SIGNED.value))


def _forget(letters: QuerySet[GatewayLetter]) -> int:
    total = 0
    while True:
        some = list(letters.values_list("pk", flat=True)[: settings.INBOX_PURGE_BATCH])
        if not some:
            return total
        total += GatewayLetter.objects.filter(pk__in=some).delete()[0]
