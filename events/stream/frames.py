"""What goes over the wire: one message, written for Server-Sent Events or as a text frame of a WebSocket."""

from typing import Any

import orjson

from events import shapes
from events.stream.journal import Row

# The names that front ends listened to before there was an outbox. They carry no id: the event's own frame follows.
ALIASES = {
    "subscription.activated": "premium_activated",
    "subscription.cancelled": "premium_cancelled",
    "payment.succeeded": "payment_succeeded",
    "payment.failed": "payment_failed",
}
FROM_THE_BEGINNING = "00000000-0000-0000-0000-000000000000"  # resumes before a customer's first event
HEARTBEAT = "stream.heartbeat"
READY = "stream.ready"
STATUS = "stream.status"

Message = dict[str, Any]


def of_row(row: Row) -> list[Message]:
    """An event, behind its alias where it has one: who is cut off between the two hears both again."""
    data = shapes.for_customer(row.type, row.version, row.data)
    message = {"id": row.id, "type": row.type, "version": row.version, "time": row.created_at, "data": data}
    alias = ALIASES.get(row.type)
    return [{**message, "type": alias, "alias_of": row.type}, message] if alias else [message]


def passing(kind: str, data: Message, *, resume_from: str | None = None) -> Message:
    """What is told and not kept. The first message of a stream has an id: where to resume, should nothing come."""
    return {"id": resume_from, "type": kind, "version": 1, "data": data}


def as_text(message: Message) -> str:
    return orjson.dumps(message, option=orjson.OPT_UTC_Z).decode()


def as_sent_event(message: Message) -> bytes:
    if message["type"] == HEARTBEAT:
        return b": heartbeat\n\n"
    known = message["id"] if message["id"] and "alias_of" not in message else None
    number = f"id: {known}\n" if known else ""
    # JSON of orjson has no line break in it, so one data line is enough.
    return f"{number}event: {message['type']}\ndata: {as_text(message)}\n\n".encode()
