"""Letters to people: which event makes which letter, written down once, sent by a sweep."""

import logging
import smtplib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.dummy import EmailBackend as ThrowsAway
from django.db import transaction
from django.utils import timezone
from prometheus_client import Counter

from events import letters, people, preferences
from events.models import DisabledReason, Endpoint, Event, Kind, Message, MessageState, Topic
from events.people import Contact
from events.types import EventType

logger = logging.getLogger(__name__)
MESSAGES = Counter("tirelire_messages", "Attempts to send a letter, by how they ended.", ["outcome"])
RUN_SECONDS = 60  # then the next sweep goes on, so that one task never holds a worker for long


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which letter an event makes, for whom, and when not. Without a topic it goes to the operators."""

    kind: Kind
    topic: Topic | None
    fits: Callable[[Event], bool] = lambda _event: True


def _is_no_renewal(event: Event) -> bool:
    return not event.data.get("is_renewal")  # a renewal that fails is told by subscription.past_due


def _is_of_a_plan(event: Event) -> bool:
    return bool(event.data.get("source") == "plan")


_WITHDRAWAL = Rule(kind=Kind.WITHDRAWAL, topic=Topic.WITHDRAWALS)
_DISPUTE = Rule(kind=Kind.DISPUTE, topic=None)
RULES: dict[str, Rule] = {
    EventType.PAYMENT_SUCCEEDED: Rule(kind=Kind.RECEIPT, topic=Topic.RECEIPTS),
    EventType.PAYMENT_FAILED: Rule(kind=Kind.PAYMENT_FAILED, topic=Topic.PAYMENT_PROBLEMS, fits=_is_no_renewal),
    EventType.SUBSCRIPTION_PAST_DUE: Rule(kind=Kind.PAST_DUE, topic=Topic.PAYMENT_PROBLEMS),
    EventType.TOP_UP_SUSPENDED: Rule(kind=Kind.TOP_UP_SUSPENDED, topic=Topic.PAYMENT_PROBLEMS),
    EventType.RENEWAL_REMINDER: Rule(kind=Kind.RENEWAL_REMINDER, topic=Topic.RENEWALS),
    EventType.CREDITS_LOW: Rule(kind=Kind.CREDITS_LOW, topic=Topic.CREDITS),
    EventType.CREDITS_EMPTY: Rule(kind=Kind.CREDITS_LOW, topic=Topic.CREDITS),
    EventType.CREDITS_EXPIRING: Rule(kind=Kind.CREDITS_EXPIRING, topic=Topic.CREDITS),
    EventType.CREDITS_GRANTED: Rule(kind=Kind.WEEKLY_GRANT, topic=Topic.WEEKLY_GRANTS, fits=_is_of_a_plan),
    EventType.PAYMENT_REFUNDED: Rule(kind=Kind.REFUND, topic=Topic.RECEIPTS),
    EventType.WITHDRAWAL_REQUESTED: _WITHDRAWAL,
    EventType.WITHDRAWAL_APPROVED: _WITHDRAWAL,
    EventType.WITHDRAWAL_REJECTED: _WITHDRAWAL,
    EventType.WITHDRAWAL_PAID: _WITHDRAWAL,
    EventType.WITHDRAWAL_FAILED: _WITHDRAWAL,
    EventType.WITHDRAWAL_CANCELLED: _WITHDRAWAL,
    EventType.PAYMENT_DISPUTED: _DISPUTE,
    EventType.DISPUTE_WON: _DISPUTE,
    EventType.DISPUTE_LOST: _DISPUTE,
}
TYPES = frozenset(RULES)


def topic_of(kind: str) -> Topic | None:
    return next((rule.topic for rule in RULES.values() if rule.kind == kind), None)


# ---------------------------------------------------------------- writing them down


def write(events: Sequence[Event]) -> int:
    """Queue the letters that these events make; an event that comes twice makes none the second time."""
    wanted = [(event, rule) for event in events if (rule := RULES.get(event.type)) and rule.fits(event)]
    users = {event.user_id for event, rule in wanted if rule.topic is not None}
    known, chosen = people.contacts(users), preferences.of_many(users)
    queued = []
    for event, rule in wanted:
        if rule.topic is None:
            queued += [_to_operator(event, rule.kind, address) for address in settings.OPERATOR_EMAILS]
        elif (contact := known.get(event.user_id)) and contact.email and chosen[event.user_id][rule.topic]:
            queued.append(_to_customer(event, rule.kind, contact))
    Message.objects.bulk_create(queued, ignore_conflicts=True)
    return len(queued)


def _to_customer(event: Event, kind: Kind, contact: Contact) -> Message:
    return Message(
        key=f"event:{event.pk}:{kind}",
        kind=kind,
        event=event,
        user_id=event.user_id,
        address=contact.email,
        locale=contact.locale,
    )


def _to_operator(event: Event, kind: Kind, address: str) -> Message:
    key = f"event:{event.pk}:{kind}:{address}"
    return Message(key=key, kind=kind, event=event, address=address, locale=settings.LANGUAGE_CODE)


def tell_of_disabled(endpoint: Endpoint, *, reason: DisabledReason, at: datetime) -> None:
    """To whom the endpoint names, else to the operators."""
    data = {"endpoint": str(endpoint.pk), "url": endpoint.url, "reason": str(reason), "disabled_at": at.isoformat()}
    addresses = [endpoint.contact_email] if endpoint.contact_email else settings.OPERATOR_EMAILS
    _write_about(Kind.ENDPOINT_DISABLED, f"endpoint:{endpoint.pk}:{at.isoformat()}", data, addresses)


def tell_operators(*, kind: Kind, key: str, data: Mapping[str, object]) -> None:
    """Of what no event tells, in the caller's transaction; the same key is told once."""
    _write_about(kind, key, data, settings.OPERATOR_EMAILS)


def _write_about(kind: Kind, key: str, data: Mapping[str, object], addresses: Sequence[str]) -> None:
    for address in addresses:
        Message.objects.get_or_create(
            key=f"{key}:{address}"[:320],
            defaults={"kind": kind, "address": address, "locale": settings.LANGUAGE_CODE, "data": dict(data)},
        )


# ---------------------------------------------------------------- sending them


def is_possible() -> bool:
    """Not in a production without EMAIL_HOST: what is written down waits for one, since nobody would get it."""
    return not isinstance(get_connection(), ThrowsAway)


def send_due(*, at: datetime | None = None) -> int:
    """Send what is due over one connection. A letter whose sender died is sent again, under the same Message-ID."""
    if not is_possible():
        return 0
    until = time.monotonic() + RUN_SECONDS
    sent = 0
    while time.monotonic() < until:
        claimed = _claim(at or timezone.now())
        if not claimed:
            break
        _send_all(claimed)
        sent += len(claimed)
    return sent


def _send_all(claimed: Sequence[Message]) -> None:
    contacts = people.contacts({message.user_id for message in claimed if message.user_id is not None})
    connection: BaseEmailBackend = get_connection()
    away = None
    try:
        for message in claimed:
            away = away or _fault_of_opening(connection)  # once is enough to know it of the whole batch
            _send(message, contacts.get(message.user_id or 0), connection, away)
    finally:
        connection.close()


def _fault_of_opening(connection: BaseEmailBackend) -> Exception | None:
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as fault:
        return fault
    return None


@transaction.atomic
def _claim(at: datetime) -> list[Message]:
    due = (
        Message.objects.filter(state__in=[MessageState.QUEUED, MessageState.SENDING], due_at__lte=at)
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("event", "user")
        .order_by("due_at")[: settings.MAIL_BATCH]
    )
    claimed = list(due)
    lease = at + timedelta(seconds=settings.MAIL_LEASE_SECONDS)
    for message in claimed:
        message.state, message.due_at, message.attempts = MessageState.SENDING, lease, message.attempts + 1
    Message.objects.bulk_update(claimed, ["state", "due_at", "attempts"])
    return claimed


def _send(message: Message, contact: Contact | None, connection: BaseEmailBackend, away: Exception | None) -> None:
    letter = letters.compose(message, contact)
    fault = away or _fault_of_sending(letters.as_mail(message, letter), connection)
    sent = {"state": MessageState.SENT, "sent_at": timezone.now(), "error": ""}
    changes = _after_failure(message, fault) if fault else sent
    MESSAGES.labels(str(changes["state"])).inc()
    Message.objects.filter(pk=message.pk, state=MessageState.SENDING, due_at=message.due_at).update(
        subject=letter.subject[:200], **changes
    )


def _fault_of_sending(mail: EmailMessage, connection: BaseEmailBackend) -> Exception | None:
    try:
        connection.send_messages([mail])
    except (OSError, smtplib.SMTPException) as fault:
        connection.close()  # whatever state it is in, the next letter gets a fresh one
        return fault
    return None


def _after_failure(message: Message, fault: Exception) -> dict[str, object]:
    logger.warning("message.failed", extra={"letter": str(message.pk), "reason": type(fault).__name__})
    error = type(fault).__name__  # its words may hold the address, which stands in this row already
    is_refused = isinstance(fault, smtplib.SMTPRecipientsRefused)
    if is_refused or message.attempts >= settings.MAIL_ATTEMPTS:
        return {"state": MessageState.FAILED, "error": error}
    seconds = settings.MAIL_FIRST_RETRY_SECONDS * 2 ** (message.attempts - 1)
    return {"state": MessageState.QUEUED, "error": error, "due_at": timezone.now() + timedelta(seconds=seconds)}
