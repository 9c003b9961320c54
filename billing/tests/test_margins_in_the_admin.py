"""The page of margins: who sees it, and what it says."""

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.tests.test_payments_in_the_admin import member
from credits import costs, usage
from credits.models import GrantSource
from credits.tests.factories import make_cost
from credits.tests.people import give, make_user
from rest.tests.operators import browser, signed_in, text

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 6, 15, tzinfo=UTC)
PAGE = "/admin/billing/margin/"
JUNE = {"since": "2026-06", "until": "2026-06"}


@pytest.fixture
def used() -> None:
    """One generation of 5 credits that cost 0.04 €, out of 100 credits for 19 €, and one out of a plan's."""
    make_cost(amount=5, valid_from=DAY - timedelta(days=30), real_cost_micros=40_000, real_cost_currency="EUR")
    costs.forget()
    for source, paid in ((GrantSource.PACK, {"paid_minor": 1_900, "paid_currency": "EUR"}), (GrantSource.PLAN, {})):
        user = make_user()
        give(user, 100, source=source, **paid)
        usage.spend(user=user, key="use", action="ai.generate", at=DAY)


def rows(answer: Any) -> list[list[str]]:
    return list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))


def test_page_shows_each_lot_with_its_margin(used) -> None:
    said = text(browser(member("view_margin")).get(PAGE, JUNE))
    for cell in ("ai.generate", "pack: 100 for €19.00", "€0.95", "€0.04", "96 %", "2275 %"):
        assert f'<td class="p-2">{cell}</td>' in said, cell
    assert "Without 5 credits whose margin is not known" in said


def test_page_is_in_french_too(used) -> None:
    reader = browser(member("view_margin"))
    said = text(reader.get(PAGE, JUNE, headers={"accept-language": "fr"}))
    for words in ("Marges", "Par action et par lot", "Coût réel", "Sans 5 crédits dont la marge n’est pas connue"):
        assert words in said, words


def test_lines_are_a_csv_too(used) -> None:
    told = rows(browser(member("view_margin")).get(PAGE, JUNE | {"csv": "margins"}))
    assert told[0][:3] == ["action", "unit", "source"]
    assert told[1] == ["ai.generate", "CREDIT", "pack", "100", "1900", "EUR", "1", "5", "0.9500", "0.0400", "EUR"]
    assert told[2] == ["ai.generate", "CREDIT", "plan", "", "", "", "1", "5", "", "0.0400", "EUR"]
    assert browser(member("view_margin")).get(PAGE, JUNE | {"csv": "other"}).status_code == 404


def test_months_without_use_say_so(used) -> None:
    said = text(browser(member("view_margin")).get(PAGE, {"since": "2026-05", "until": "2026-05"}))
    assert "Nothing in this period." in said


@pytest.mark.parametrize(
    ("since", "until", "told"),
    [
        ("2026-06", "2026-05", "The period ends before it begins."),
        ("2020-01", "2026-05", "At most 24 months."),
        ("2026-13", "2026-13", "Say a month like 2026-11."),
        ("", "2026-06", "This field is required."),
    ],
)
def test_period_that_is_none_is_refused(used, since: str, until: str, told: str) -> None:
    said = text(browser(member("view_margin")).get(PAGE, {"since": since, "until": until}))
    assert told in said
    assert "ai.generate" not in said


def test_page_shows_this_month_first() -> None:
    said = text(browser(member("view_margin")).get(PAGE))
    assert f'value="{datetime.now(UTC):%Y-%m}"' in said


@pytest.mark.parametrize(("group", "status"), [("finance", 200), ("auditor", 200), ("support", 403)])
def test_finance_and_auditors_see_it_and_support_does_not(group: str, status: int) -> None:
    someone = signed_in(group)
    assert someone.get(PAGE).status_code == status
    assert (PAGE in someone.get("/admin/").content.decode()) == (status == 200)


def test_nothing_is_added_changed_or_deleted_there(used) -> None:
    reader = browser(member("view_margin"))
    assert reader.get(f"{PAGE}add/").status_code == 403
    assert reader.get(f"{PAGE}1/change/").status_code == 404
    assert reader.get(f"{PAGE}1/delete/").status_code in (302, 403, 404)
