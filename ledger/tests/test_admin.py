import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from ledger import accounts, transfers
from ledger.admin import EstimatedPaginator
from ledger.models import Account, Entry, Hold, HouseTotal
from ledger.tests.books import credits_, guarded, house, move
from ledger.transfers import Part, Reserve

pytestmark = pytest.mark.django_db


@pytest.fixture
def books() -> tuple[Account, Entry, Hold]:
    grant, spent = guarded("grant:1", having=1000), house("credits:spent")
    entry = move(grant, spent, 300, key="spend:amina:1")
    transfers.reverse(key="spend:amina:1:reversal", entry=entry, amounts={0: credits_(100)})
    (hold,) = transfers.hold(key="job:1", reserves=[Reserve(grant, credits_(50))])
    transfers.settle(key="job:1:settle", kind="spend", parts=[Part(hold, spent)])
    return grant, entry, hold


def page(browser: Client, name: str, *arguments: object, **query: str) -> str:
    response = browser.get(reverse(f"admin:ledger_{name}", args=arguments), query)
    assert response.status_code == 200
    return response.content.decode()


def test_an_account_shows_its_latest_lines(as_root: Client, books: tuple[Account, Entry, Hold]) -> None:
    shown = page(as_root, "account_change", books[0].pk)
    assert "spend:amina:1" in shown
    assert "750 CREDIT" in shown
    assert "-300 CREDIT" in shown


def test_an_entry_shows_its_transfers_and_reversals(as_root: Client, books: tuple[Account, Entry, Hold]) -> None:
    shown = page(as_root, "entry_change", books[1].pk)
    assert "grant:1" in shown
    assert "300 CREDIT" in shown
    assert f"reversal {books[1].reversals.get().pk}" in shown


def test_a_hold_shows_what_became_of_it(as_root: Client, books: tuple[Account, Entry, Hold]) -> None:
    books[2].refresh_from_db()
    shown = page(as_root, "hold_change", books[2].pk)
    assert "settled" in shown
    assert str(books[2].entry_id) in shown


@pytest.mark.parametrize(
    ("kind", "query", "found"),
    [
        ("account", "grant:", {"grant:1"}),
        ("entry", "spend:amina", {"spend:amina:1", "spend:amina:1:reversal"}),
        ("hold", "job:", {"job:1"}),
        ("entry", "amina", set()),
    ],
)
def test_search_by_the_beginning(as_root: Client, books: object, kind: str, query: str, found: set[str]) -> None:
    response = as_root.get(reverse(f"admin:ledger_{kind}_changelist"), {"q": query})
    rows = response.context["cl"].result_list
    assert {row.entry_key.key if kind == "entry" else str(row) for row in rows} == found


@pytest.mark.parametrize("kind", ["account", "entry", "hold"])
def test_nothing_can_be_changed(as_root: Client, books: tuple[Account, Entry, Hold], kind: str) -> None:
    one = dict(zip(("account", "entry", "hold"), books, strict=True))[kind]
    assert as_root.get(reverse(f"admin:ledger_{kind}_add")).status_code == 403
    assert as_root.post(reverse(f"admin:ledger_{kind}_change", args=[one.pk]), {"unit": "EUR"}).status_code == 403
    assert as_root.post(reverse(f"admin:ledger_{kind}_delete", args=[one.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("kind", ["account", "entry", "hold"])
def test_a_list_takes_as_many_queries_for_forty_rows_as_for_few(as_root: Client, books: object, kind: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page(as_root, f"{kind}_changelist")
        return len(captured)

    queries()  # what Django caches once
    few = queries()
    for number in range(13):
        each, spent = guarded(f"grant:many:{number}", having=10), house(f"house:{number}")
        transfers.hold(key=f"many:{number}", reserves=[Reserve(each, credits_(1))])
        move(each, spent, 1)
    assert queries() == few


def test_a_page_of_an_account_takes_as_many_queries_for_many_lines(
    as_root: Client, books: tuple[Account, Entry, Hold]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(as_root, "account_change", books[0].pk)
        return len(captured)

    queries()
    few = queries()
    for _ in range(10):
        move(books[0], house("credits:spent"), 1)
    assert queries() == few


def test_a_house_account_shows_its_total_of_the_last_roll_up(as_root: Client, books: object) -> None:
    accounts.roll_up()
    assert "(at the last roll-up)" in page(as_root, "account_change", house("credits:spent").pk)


def test_long_lists_are_counted_by_estimate(books: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_class SET reltuples = 5000000 WHERE oid = 'ledger_entry'::regclass")
    assert EstimatedPaginator(Entry.objects.order_by("pk"), 50).count == 5_000_000
    assert EstimatedPaginator(Entry.objects.filter(kind="spend").order_by("pk"), 50).count == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [({}, {"CREDIT", "EUR"}), ({"unit": "EUR"}, {"EUR"}), ({"unit": "CREDIT"}, {"CREDIT"}), ({"unit": "XOF"}, set())],
)
def test_accounts_are_filtered_by_the_units_of_the_house(
    as_root: Client, books: object, query: dict[str, str], found: set[str]
) -> None:
    for account in (house("credits:spent"), house("loss:EUR", "EUR")):
        HouseTotal.objects.create(account=account, balance=0)  # as a roll-up leaves them
    listed = as_root.get(reverse("admin:ledger_account_changelist"), query)
    assert {account.unit for account in listed.context["cl"].result_list} == found
    [of_units] = [each for each in listed.context["cl"].filter_specs if each.title == "unit"]
    assert of_units.lookup_choices == [("CREDIT", "CREDIT"), ("EUR", "EUR")]
