"""E-mails to people: which event makes which e-mail, written down once, sent by a sweep."""

import logging
import smtplib
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.dummy import EmailBackend as ThrowsAway
from django.db.models import F, QuerySet
from django.utils import timezone
from prometheus_client import Counter

from events import letters, people, preferences
from events.errors import MessageUnderWay
from events.models import DisabledReason, Endpoint, Event, Kind, Message, MessageState, Topic
from events.people import Contact
from events.types import EventType
from rest import sweeps

logger = logging.getLogger(__name__)
MESSAGES = Counter("tirelire_messages", "Attempts to send an e-mail, by how they ended.", ["outcome"])
RUN_SECONDS = 60  # then the next sweep goes on, so that one task never holds a worker for long
FLOOR = "events:mailer"
FLOOR_SECONDS = 60  # of a sender that was killed; a living one says at each letter that it lives
NEVER, CLOSING = 500, 421  # codes of SMTP: from the first one on it is a refusal for good; the other closes the line


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
    """Send what is due; returns how many were tried. A letter whose sender died is sent again under its Message-ID.

    A second sender beside one that runs ends at once, and so does whoever comes soon after the mail server was away.
    That is thrift and not safety, for a claim belongs to one sender whoever else runs: workers are few, they have
    payments to look after, and a server that hangs must not keep them.
    """
    if not is_possible():
        return 0
    own, until = uuid.uuid4().hex, time.monotonic() + RUN_SECONDS
    if not cache.add(FLOOR, own, timeout=FLOOR_SECONDS):
        return 0
    tried, away = 0, None
    try:
        while away is None and time.monotonic() < until and (claimed := _claim(at or timezone.now())):
            count, away = _send_all(claimed, until)
            tried += count
    finally:
        _leave(own, away)
    return tried


def _leave(own: str, away: Exception | None) -> None:
    if away is not None:
        logger.warning("mail.away", extra={"reason": type(away).__name__})
        cache.set(FLOOR, own, timeout=settings.MAIL_FIRST_RETRY_SECONDS)
    elif cache.get(FLOOR) == own:
        cache.delete(FLOOR)


def _send_all(claimed: Sequence[Message], until: float) -> tuple[int, Exception | None]:
    """How many were tried, and what was wrong with the server, if it was the server."""
    contacts = people.contacts({message.user_id for message in claimed if message.user_id is not None})
    connection: BaseEmailBackend = get_connection()
    waiting, away = deque(claimed), None
    try:
        while waiting and away is None and time.monotonic() < until:
            cache.touch(FLOOR, FLOOR_SECONDS)
            away = _fault_of_opening(connection)
            if away is None:
                message = waiting.popleft()
                away = _send(message, contacts.get(message.user_id or 0), connection)
    finally:
        _give_back(waiting, away)
        _close(connection)
    return len(claimed) - len(waiting), away


def _fault_of_opening(connection: BaseEmailBackend) -> Exception | None:
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as fault:
        return fault
    return None


def _fault_of_sending(connection: BaseEmailBackend, letter: EmailMessage) -> Exception | None:
    try:
        connection.send_messages([letter])
    except (OSError, smtplib.SMTPException) as fault:
        _close(connection)
        return fault
    return None


def _close(connection: BaseEmailBackend) -> None:
    with suppress(OSError, smtplib.SMTPException):  # whatever state it is in, the next letter gets a fresh one
        connection.close()


def _claim(at: datetime) -> list[Message]:
    lease = at + timedelta(seconds=settings.MAIL_LEASE_SECONDS)

    def take(message: Message) -> None:
        message.state, message.due_at, message.attempts = MessageState.SENDING, lease, message.attempts + 1

    due = Message.objects.filter(state__in=[MessageState.QUEUED, MessageState.SENDING], due_at__lte=at)
    due = due.select_related("event", "user")
    return sweeps.claim(due, by="due_at", most=settings.MAIL_BATCH, then=take, writes=["state", "due_at", "attempts"])


def _give_back(waiting: Collection[Message], away: Exception | None) -> None:
    """Those of a batch that nobody tried to send: that was no attempt at them, however long the server is away."""
    changes: dict[str, object] = {"state": MessageState.QUEUED, "attempts": F("attempts") - 1, "due_at": timezone.now()}
    if away is not None:
        changes["error"] = type(away).__name__
    for message in waiting:
        _mine(message).update(**changes)


def _mine(message: Message) -> QuerySet[Message]:
    """The letter, as long as this sender has it."""
    return Message.objects.filter(pk=message.pk, state=MessageState.SENDING, due_at=message.due_at)


def _send(message: Message, contact: Contact | None, connection: BaseEmailBackend) -> Exception | None:
    """What was wrong with the server, if it was the server. Any other trouble is this letter's own: it must not keep
    those that wait behind it."""
    subject = ""
    fault: Exception | None = None
    with sweeps.alone("message.not_composed", letter=str(message.pk)) as row:
        letter = letters.compose(message, contact)
        subject = letter.subject[:200]
        fault = _fault_of_sending(connection, letters.as_mail(message, letter))
    fault = fault or row.fault
    sent = {"state": MessageState.SENT, "sent_at": timezone.now(), "error": ""}
    changes = _after_failure(message, fault) if fault else sent
    MESSAGES.labels(str(changes["state"])).inc()
    _mine(message).update(subject=subject, **changes)
    return fault if _is_of_server(fault) else None


def _after_failure(message: Message, fault: Exception) -> dict[str, object]:
    logger.warning("message.failed", extra={"letter": str(message.pk), "reason": type(fault).__name__})
    error = type(fault).__name__  # its words may hold the address, which stands in this row already
    if _is_final(fault) or message.attempts >= settings.MAIL_ATTEMPTS:
        return {"state": MessageState.FAILED, "error": error}
    seconds = settings.MAIL_FIRST_RETRY_SECONDS * 2 ** (message.attempts - 1)
    return {"state": MessageState.QUEUED, "error": error, "due_at": timezone.now() + timedelta(seconds=seconds)}


def _is_final(fault: Exception) -> bool:
    """Nobody there takes it, today or tomorrow. A code below 500 means: later, such as for senders it does not know."""
    return isinstance(fault, smtplib.SMTPRecipientsRefused) and min(_codes(fault), default=0) >= NEVER


def _is_of_server(fault: Exception | None) -> bool:
    """It went silent, hung up, closes or does not take us: the next letter would end as this one has."""
    match fault:
        case None:
            return False
        case smtplib.SMTPRecipientsRefused():
            return CLOSING in _codes(fault)
        case smtplib.SMTPServerDisconnected() | smtplib.SMTPSenderRefused():
            return True
        case smtplib.SMTPResponseException():
            return fault.smtp_code == CLOSING
    return isinstance(fault, OSError) and not isinstance(fault, smtplib.SMTPException)


def _codes(refusal: smtplib.SMTPRecipientsRefused) -> list[int]:
    return [code for code, _said in refusal.recipients.values()]


def send_again(message: Message) -> Message:
    """Once more from the beginning, whatever came of it, to the same address and under the same Message-ID."""
    changes = {"state": MessageState.QUEUED, "attempts": 0, "due_at": timezone.now(), "error": ""}
    if not Message.objects.filter(pk=message.pk).exclude(state=MessageState.SENDING).update(**changes):
        raise MessageUnderWay
    message.refresh_from_db()
    return message
