"""By which clock the admin tells times, and that it says so."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as house
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from billing.models import Payment, Subscription
from billing.tests.conftest import clock, gateways, on_sale, stripe
from billing.tests.subscribers import subscribed
from credits.admin.acts import EndOfDayField
from credits.models import GrantSchedule

__all__ = ["clock", "gateways", "on_sale", "stripe"]
pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 3, 22, 30, tzinfo=UTC)


@pytest.fixture
def payment(db: None) -> Payment:
    buyer = User.objects.create(username="ann")
    made = Payment.objects.create(user=buyer, kind="amount", amount_minor=5, currency="EUR", expires_at=AT)
    Payment.objects.update(created_at=AT)
    return made


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "Nov. 3, 2026, 10:30 p.m."),
        ("Europe/Paris", "Nov. 3, 2026, 11:30 p.m."),
        ("Asia/Kolkata", "Nov. 4, 2026, 4 a.m."),
    ],
)
def test_lists_and_pages_tell_times_by_the_operators_clock_and_name_it(
    as_root: Client, payment: Payment, settings: Any, zone: str, told: str
) -> None:
    settings.OPERATORS_TIME_ZONE = zone
    for path in ("/admin/billing/payment/", reverse("admin:billing_payment_change", args=[payment.pk])):
        text = as_root.get(path).text
        assert told in text
        assert f"Times in {zone}" in text
    assert f"Heures de {zone}" in as_root.get("/admin/", headers={"accept-language": "fr"}).text


def test_files_and_pages_of_customers_keep_their_own_clock(as_root: Client, payment: Payment, settings: Any) -> None:
    settings.OPERATORS_TIME_ZONE = "Asia/Kolkata"
    answer: Any = as_root.post("/admin/billing/payment/csv/")
    assert "2026-11-03T22:30:00Z" in b"".join(answer.streaming_content).decode()
    assert "Times in" not in as_root.get("/pricing").text


def test_dates_by_the_customers_clock_say_so(stripe: Any, on_sale: None, as_root: Client) -> None:
    subscription = subscribed(stripe)
    Subscription.objects.update(time_zone="Africa/Abidjan")
    GrantSchedule.objects.update(time_zone="Africa/Abidjan")
    schedule = GrantSchedule.objects.get()
    for path in (
        reverse("admin:billing_subscription_change", args=[subscription.pk]),
        reverse("admin:credits_grantschedule_change", args=[schedule.pk]),
    ):
        assert "By the customer&#x27;s clock, Africa/Abidjan:" in as_root.get(path).text


def test_every_day_to_be_typed_says_to_when_it_lasts() -> None:
    assert str(EndOfDayField().help_text) == "To the end of that day, UTC."
    assert str(EndOfDayField(help_text="At once.").help_text) == "At once."


def test_zone_that_is_none_stops_the_start() -> None:
    environment = {**os.environ, "OPERATORS_TIME_ZONE": "Europe/Pris"}
    started = subprocess.run(
        [sys.executable, "-c", "import django; django.setup()"],
        cwd=Path(house.BASE_DIR),
        env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OPERATORS_TIME_ZONE is an IANA name, not 'Europe/Pris'." in started.stderr
