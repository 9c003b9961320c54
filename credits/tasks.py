"""Sweeps of the credits. Each finds its own work, so running one late, twice or at once with itself is harmless."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from credits import calendar, grants, holds


@shared_task
def grant_due() -> None:
    calendar.grant_due()


@shared_task
def expire_grants() -> None:
    grants.expire_due()


@shared_task
def expire_holds() -> None:
    holds.expire_due()


@shared_task
def warn_of_expiry() -> None:
    grants.warn_of_expiry(timezone.now() + timedelta(days=settings.CREDITS_EXPIRING_DAYS))
