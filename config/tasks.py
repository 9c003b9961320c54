"""The tasks of the house itself."""

from celery import shared_task

from config import broker


@shared_task
def heartbeat(queue: str) -> None:
    """The beat sends one into every queue; that it ran proves that a worker empties that queue."""
    broker.note_heartbeat(f"worker:{queue}")
