"""Lists of the admin as CSV: what is filtered, whole, without formulas, for those who may, and never unnoticed."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import Attempt, Payment, Refund
from billing.tests.paying import approved
from credits import usage
from credits.tests.people import give
from credits.tests.people import make_user as make_customer
from rest import exports, spreadsheets
from rest.tests.operators import signed_in

pytestmark = pytest.mark.django_db
EXPORTED = ["billing/payment", "billing/refund", "credits/grant", "credits/spend", "wallets/withdrawal"]


@pytest.fixture
def finance() -> Client:
    return signed_in("finance")


def bought(count: int, *, currency: str = "EUR", username: str = "=cmd|' /C calc'!A0") -> list[Payment]:
    user, _ = User.objects.get_or_create(username=username)
    return [
        Payment.objects.create(
            user=user,
            kind="amount",
            amount_minor=1_050 + each,
            currency=currency,
            expires_at=timezone.now(),
            description=f"Number {each}; =1+1",
        )
        for each in range(count)
    ]


def rows_of(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_all_rows_come_page_by_page_with_amounts_to_reckon_with(
    finance: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 2)
    payments = bought(5)
    answer = finance.post("/admin/billing/payment/csv/")
    assert f"payments-{timezone.now():%Y-%m-%d}.csv" in answer["Content-Disposition"]
    rows = rows_of(answer)
    assert [row["id"] for row in rows] == [str(each.pk) for each in reversed(payments)]
    assert (rows[-1]["amount"], rows[-1]["currency"], rows[-1]["status"]) == ("10.50", "EUR", "pending")


def test_no_cell_is_a_formula_wherever_a_spreadsheet_lets_cells_begin(finance: Client) -> None:
    bought(1)
    [row] = rows_of(finance.post("/admin/billing/payment/csv/"))
    assert row["customer"] == "'=cmd|' /C calc'!A0"
    assert row["description"] == "Number 0; =1+1"  # after a blank it is text everywhere


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ("=1", "'=1"),
        ("x;=1", "x;'=1"),
        ("x\n@SUM", "x\n'@SUM"),
        ("\tx", "'\tx"),
        ("a-b", "a-b"),
        ("+225 07", "'+225 07"),
        (Decimal("-9.99"), Decimal("-9.99")),
        (-5, -5),
        (None, ""),
    ],
)
def test_only_text_that_would_be_run_is_marked(told: Any, written: Any) -> None:
    assert spreadsheets._cell(told) == written


def test_filters_and_search_of_the_list_are_those_of_the_file(finance: Client) -> None:
    bought(1)
    francs = bought(2, currency="XOF", username="awa")
    page = finance.get("/admin/billing/payment/?currency__exact=XOF&q=awa").text
    assert 'action="/admin/billing/payment/csv/?currency__exact=XOF&amp;q=awa"' in page
    rows = rows_of(finance.post("/admin/billing/payment/csv/?currency__exact=XOF&q=awa"))
    assert {row["id"] for row in rows} == {str(each.pk) for each in francs}
    assert rows[0]["amount"] == "1051"


def test_refunds_credits_and_withdrawals_have_their_files(finance: Client) -> None:
    [payment] = bought(1, username="ann")
    attempt = Attempt.objects.create(payment=payment, gateway="stripe", notify_token="one")
    Refund.objects.create(payment=payment, attempt=attempt, policy="goodwill", amount_minor=250, currency="EUR")
    customer = make_customer()
    give(customer, 10)
    usage.spend(user=customer, key="one", amount=3, reference="-1")
    withdrawal = approved(4_000)
    read = {path: rows_of(finance.post(f"/admin/{path}/csv/")) for path in EXPORTED}
    [refund], [grant], [spend], [paid] = (read[path] for path in EXPORTED[1:])
    assert (refund["payment"], refund["customer"], refund["amount"]) == (str(payment.pk), "ann", "2.50")
    assert (grant["customer"], grant["amount"], grant["left"], grant["state"]) == (customer.username, "10", "7", "open")
    assert (spend["amount"], spend["reference"]) == ("3", "'-1")
    assert (paid["id"], paid["amount"], paid["currency"]) == (str(withdrawal.pk), "40.00", "EUR")


@pytest.mark.parametrize("path", EXPORTED)
def test_only_those_who_may_take_it_away_have_the_button_and_the_file(path: str, finance: Client) -> None:
    assert "Download as CSV" in finance.get(f"/admin/{path}/").text
    assert finance.get(f"/admin/{path}/csv/").status_code == 405
    support = signed_in("support", name="sue")
    assert "Download as CSV" not in support.get(f"/admin/{path}/").text
    assert support.post(f"/admin/{path}/csv/").status_code == 403
    assert Client().post(f"/admin/{path}/csv/").status_code == 302
    assert not LogEntry.objects.exists()


def test_it_is_kept_who_took_what(finance: Client, as_root: Client, caplog: pytest.LogCaptureFixture) -> None:
    bought(3, username="awa")
    finance.post("/admin/billing/payment/csv/?q=awa")
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_repr) == ("olive", "payments")
    assert entry.change_message == "Downloaded: about 3 rows, filtered by: q=awa"
    assert "admin.exported" in caplog.messages
    assert "about 3 rows" in as_root.get("/admin/").text


def test_a_long_file_is_never_read_whole(finance: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 2)
    bought(4)
    answer: Any = finance.post("/admin/billing/payment/csv/")
    with CaptureQueriesContext(connection) as asked:
        pieces = iter(answer.streaming_content)
        assert next(pieces).startswith(b"id,created_at,customer")
        assert len(asked) == 0
        next(pieces)
        assert len(asked) == 1
    assert "LIMIT 2" in asked[0]["sql"]
