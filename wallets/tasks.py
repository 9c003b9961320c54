"""Sweeps of the wallets. Each finds its own work, so running one late, twice or at once with itself is harmless."""

from celery import shared_task

from wallets import sales


@shared_task
def release_sales() -> None:
    sales.release_due()


@shared_task
def free_reserves() -> None:
    sales.free_due()
