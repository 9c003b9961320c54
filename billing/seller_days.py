"""The seller's days and years: those of invoices, of the rates of tax, and of what is due."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone


def here(moment: datetime) -> datetime:
    """In the seller's time zone."""
    return moment.astimezone(ZoneInfo(settings.SELLER_TIME_ZONE))


def today() -> date:
    return here(timezone.now()).date()
