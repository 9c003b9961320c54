"""What the API's shell does in the background."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import connection
from django.utils import timezone

PURGE = """
DELETE FROM rest_idempotencyrecord
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM rest_idempotencyrecord WHERE created_at <= %s ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
))
"""


@shared_task
def purge_idempotency_records() -> None:
    """Forgets the answers whose time is over, in batches that each commit alone and hold no lock for long."""
    until = timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(PURGE, [until, settings.IDEMPOTENCY_PURGE_BATCH])
            if cursor.rowcount < settings.IDEMPOTENCY_PURGE_BATCH:
                return
