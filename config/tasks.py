"""Tasks of no app in particular."""

from celery import shared_task

from config import broker
from ledger import accounts


@shared_task
def heartbeat(queue: str) -> None:
    """The beat sends one into every queue; that it ran proves that a worker empties that queue."""
    broker.note_heartbeat(f"worker:{queue}")


@shared_task
def roll_up_house_accounts() -> None:
    """Keeps reading the house's balances cheap. Here, because the ledger itself knows nothing of Celery."""
    accounts.roll_up()
