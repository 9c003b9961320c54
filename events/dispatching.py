"""From the outbox to those who want to hear: every event is looked at once, and becomes deliveries and e-mails."""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from events import mail
from events.models import Event

_TAKE = """
DELETE FROM events_untold WHERE event_id = ANY (ARRAY(
    SELECT event_id FROM events_untold ORDER BY event_id LIMIT %s FOR UPDATE SKIP LOCKED))
RETURNING event_id
"""
_ADDRESS = """
INSERT INTO events_delivery (endpoint_id, event_id)
SELECT e.id, v.id
  FROM events_event v
  JOIN events_endpoint e ON e.disabled_at IS NULL AND (e.types = '{}' OR v.type = ANY (e.types))
 WHERE v.id = ANY (%s)
 ORDER BY v.id, e.id
    ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""


@dataclass(slots=True, kw_only=True)
class Told:
    events: int = 0
    deliveries: int = 0
    messages: int = 0


def tell_new() -> Told:
    """Until nothing new is left. Two at once share the work: each event is taken by one of them."""
    told = Told()
    while True:
        taken = _tell_some(told)
        told.events += taken
        if taken < settings.EVENTS_BATCH:
            return told


@transaction.atomic
def _tell_some(told: Told) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [settings.EVENTS_BATCH])
        taken = [row[0] for row in cursor.fetchall()]
        if not taken:
            return 0
        cursor.execute(_ADDRESS, [taken])
        told.deliveries += cursor.rowcount
    events = Event.objects.filter(pk__in=taken, type__in=mail.TYPES).select_related("user").order_by("pk")
    told.messages += mail.write(list(events))
    return len(taken)
