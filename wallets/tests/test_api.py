from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from ledger.checks import faults
from ledger.money import Money
from rest.tests.callers import customer, get, post, service
from wallets import sales, sellers, statements, transactions, withdrawals
from wallets.models import Withdrawal
from wallets.tests.people import (
    FAR_AWAY,
    ask,
    available,
    give_back,
    make_kind,
    make_rule,
    make_type,
    make_user,
    sell,
    sell_cleared,
    wallet_of,
)

pytestmark = pytest.mark.django_db
GOAL = {"type": "paypal", "email": "ann@example.com"}
WISH = {"amount": 4_000, "currency": "EUR", "destination": GOAL}


@pytest.fixture
def user() -> Any:
    make_rule(code="house", basis_points=0, clearing_days=7)
    user = make_user()
    sell_cleared(user, 10_000, reference="order-1")
    return user


def results(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.content
    found: list[Any] = answer.json()["results"]
    return found


# ---------------------------------------------------------------- reading


def test_a_seller_sees_what_they_have_and_what_comes_when(user: Any) -> None:
    sale = sell(user, 500)
    sell(user, 700, "XOF")
    ask(user, 4_000)
    euros, francs = get("wallets/balance", customer(user)).json()["wallets"]
    day = f"{sale.releases_at:%Y-%m-%d}T00:00:00Z"
    assert euros == {
        "currency": "EUR",
        "pending": 500,
        "available": 6_000,
        "held": 4_000,
        "reserved": 0,
        "owed": 0,
        "upcoming": [{"at": day, "amount": 500}],
    }
    assert (francs["currency"], francs["pending"], francs["available"]) == ("XOF", 700, 0)
    assert len(get("wallets/balance?currency=XOF", customer(user)).json()["wallets"]) == 1


def test_somebody_who_never_sold_has_no_wallets() -> None:
    nobody = customer(make_user())
    assert get("wallets/balance", nobody).json() == {"wallets": []}
    assert get("wallets/transactions", nobody).json() == {"next": None, "previous": None, "results": []}
    assert get("wallets/statements?currency=EUR", nobody).status_code == 404
    assert get("wallets/withdrawals/quote?currency=EUR&amount=5", nobody).status_code == 404


def test_transactions_are_paged_filtered_and_sum_to_the_balance(user: Any) -> None:
    sale = sell_cleared(user, 300, reference="order-2")
    give_back(sale, "refund:1", amount=Money(100, "EUR"))
    found = results(get("wallets/transactions", customer(user)))
    assert [each["kind"] for each in found] == ["sale.refund", "sale.release", "sale", "sale.release", "sale"]
    assert (found[0]["available"], found[0]["change"], found[0]["references"]) == (-100, -100, ["order-2"])
    assert (found[1]["pending"], found[1]["available"], found[1]["change"]) == (-300, 300, 0)
    assert (found[1]["references"], found[3]["references"]) == (["order-2"], ["order-1"])
    assert sum(each["change"] for each in found) == 10_200
    first = get("wallets/transactions?limit=2", customer(user)).json()
    again = Client().get(first["next"], headers=customer(user)).json()
    assert [*first["results"], *again["results"]] == found[:4]
    sold = results(get("wallets/transactions?kind=sale", customer(user)))
    assert [each["references"] for each in sold] == [["order-2"], ["order-1"]]
    assert results(get("wallets/transactions?since=2090-01-01T00:00:00Z", customer(user))) == []
    assert results(get("wallets/transactions?until=2020-01-01T00:00:00Z", customer(user))) == []


@pytest.mark.parametrize("year", ["0001", "1960"])
def test_nothing_was_sold_long_ago(user: Any, year: str) -> None:
    until = f"{year}-01-02T00:00:00Z"
    assert results(get(f"wallets/transactions?until={until}", customer(user))) == []
    assert len(results(get(f"wallets/transactions?since={until}", customer(user)))) == 2
    found = get(f"wallets/statistics?until={until}", customer(user)).json()["wallets"][0]
    assert (found["total"]["sales"], found["periods"]) == (0, [])


def test_transactions_come_as_csv_that_no_spreadsheet_runs(user: Any) -> None:
    sell(user, 5, reference="=cmd()")
    answer = get("wallets/transactions?format=csv", customer(user))
    rows = b"".join(answer.streaming_content).decode().splitlines()
    assert rows[0] == "id,kind,at,currency,change,pending,available,reserve,debt,references"
    assert rows[1].split(",")[4:] == ["5", "5", "0", "0", "0", "'=cmd()"]
    assert len(rows) == 4


def test_clearing_of_many_names_the_first_of_them_and_counts_the_others(user: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(transactions, "MOST_REFERENCES", 2)
    for reference in ("seat 1", "", "seat 2", "seat 3"):
        sell(user, 100, reference=reference)
    sales.release_due(FAR_AWAY)
    told = results(get("wallets/transactions?kind=sale.release", customer(user)))[0]
    assert (told["available"], told["references"]) == (400, ["seat 1", "seat 2"])
    answer = get("wallets/transactions?kind=sale.release&format=csv", customer(user))
    assert b"".join(answer.streaming_content).decode().splitlines()[1].endswith(",seat 1 seat 2 (+1)")
    now = datetime.now(UTC)
    lines = statements.of_month(wallet_of(user), year=now.year, month=now.month).lines
    assert [line.note for line in lines if line.kind == "sale.release"] == ["order-1", "seat 1, seat 2 (+1)"]


def test_nobody_sees_what_is_anothers(user: Any) -> None:
    withdrawal = ask(user, 100)
    stranger = customer(make_user())
    assert results(get("wallets/transactions", stranger)) == []
    assert results(get("commissions", stranger)) == []
    assert results(get("wallets/withdrawals", stranger)) == []
    assert get(f"wallets/withdrawals/{withdrawal.pk}", stranger).status_code == 404
    assert post(f"wallets/withdrawals/{withdrawal.pk}/cancel", stranger).status_code == 404
    assert available(user) == 9_900


def test_statistics_by_period_and_type(user: Any) -> None:
    make_type("template_sale")
    make_rule(code="templates", basis_points=3_000, sale_type=make_type("template_sale"))
    sale = sell(user, 1_000, type="template_sale")
    give_back(sale, "refund:1", amount=Money(500, "EUR"))
    withdrawal = withdrawals.approve(withdrawal=ask(user, 4_000), by=make_user())
    withdrawals.mark_sending(withdrawal=withdrawal, gateway="paypal")
    withdrawals.mark_paid(withdrawal=withdrawal)
    answer = get("wallets/statistics?by=day", customer(user))
    assert answer.status_code == 200, answer.content
    (found,) = answer.json()["wallets"]
    assert found["total"] == {
        "sales": 2,
        "gross": 11_000,
        "commission": 150,
        "refunds": 500,
        "net": 10_350,
        "withdrawn": 4_000,
    }
    assert found["types"]["template_sale"]["net"] == 350
    assert sum(period["figures"]["gross"] for period in found["periods"]) == 11_000
    assert get("commissions/statistics", customer(user)).json()["wallets"][0]["total"]["commission"] == 150


def test_a_statement_has_every_line_and_sums_to_the_balance(user: Any) -> None:
    withdrawals.cancel(withdrawal=ask(user, 4_000), by=user)
    found = get("wallets/statements?currency=EUR", customer(user)).json()
    assert (found["opening"], found["closing"]) == (0, 10_000)
    assert [(line["kind"], line["change"], line["balance"]) for line in found["lines"]] == [
        ("sale", 10_000, 10_000),
        ("sale.release", 0, 10_000),
        ("withdrawal.requested", 0, 10_000),
        ("withdrawal.cancelled", 0, 10_000),
    ]
    earlier = get("wallets/statements?currency=EUR&month=2024-12", customer(user)).json()
    assert (earlier["until"], earlier["lines"], earlier["closing"]) == ("2025-01-01T00:00:00Z", [], 0)
    answer = get("wallets/statements?currency=EUR&format=csv", customer(user))
    rows = b"".join(answer.streaming_content).decode().splitlines()
    assert (len(rows), rows[-1].split(",")[1], rows[-1].split(",")[8]) == (7, "closing", "10000")


# ---------------------------------------------------------------- commissions


def test_each_commission_says_which_rule_and_why(user: Any) -> None:
    make_rule(code="tickets", sale_type=make_type(), basis_points=1_000)
    sale = sell(user, 1_000, reference="order-7")
    found = results(get("commissions", customer(user)))[0]
    assert (found["sale"], found["commission"], found["net"], found["rule"]) == (str(sale.pk), 100, 900, "tickets")
    assert (found["because"], found["before"], found["basis_points"]) == (["type"], ["house"], 1_000)
    assert results(get("commissions?type=nothing", customer(user))) == []
    assert len(results(get("commissions?currency=EUR", customer(user)))) == 2
    assert results(get("commissions?currency=XOF", customer(user))) == []


def test_rates_are_listed_the_most_specific_first(user: Any) -> None:
    make_rule(code="mine", seller=sellers.of(user), currency="EUR", basis_points=500, fixed_minor=25)
    found = get("commissions/rates", customer(user)).json()
    assert [(rate["rule"], rate["is_yours_alone"]) for rate in found["rates"]] == [("mine", True), ("house", False)]
    assert (found["rates"][0]["fixed"], found["otherwise"], found["rates"][1]["clearing_days"]) == (25, 1_000, 7)


def test_a_projection_is_what_a_real_sale_becomes(user: Any) -> None:
    rule = make_rule(code="tiered", sale_type=make_type(), currency="EUR", basis_points=1_000, clearing_days=3)
    rule.tiers.create(from_volume_minor=2_000, basis_points=500)
    wish = {"type": "ticket_sale", "amount": 1_005, "currency": "EUR", "sales_per_month": 3, "months": 2}
    answer = post("commissions/projections", customer(user), wish, key=None)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["commission"], found["net"], found["rule"], found["because"]) == (
        101,
        904,
        "tiered",
        ["type", "currency"],
    )
    assert [part["amount"] for part in found["settlement"]] == [904]
    assert [(month["gross"], month["commission"]) for month in found["months"]] == [(3_015, 252), (3_015, 252)]
    later = post("commissions/projections", customer(user), wish | {"monthly_volume": 2_000}, key=None).json()
    assert (later["commission"], sell(user, 1_005).commission_minor) == (50, 50)


def test_a_projection_says_when_a_reserve_ends(user: Any) -> None:
    make_rule(code="tickets", sale_type=make_type(), basis_points=0, clearing_days=3)
    sellers.set_reserve(seller=sellers.of(user), basis_points=1_000, days=30)
    wish = {"type": "ticket_sale", "amount": 1_005, "currency": "EUR"}
    found = post("commissions/projections", customer(user), wish, key=None).json()["settlement"]
    assert [part["amount"] for part in found] == [904, 101]
    cleared, freed = (datetime.fromisoformat(part["at"]) for part in found)
    assert freed - cleared == timedelta(days=30)


def test_a_projection_for_another_kind_of_seller(user: Any) -> None:
    make_rule(code="designers", seller_kind=make_kind("designer"), basis_points=3_000)
    wish = {"type": "ticket_sale", "amount": 1_000, "currency": "EUR", "seller_kind": "designer"}
    assert post("commissions/projections", customer(user), wish, key=None).json()["commission"] == 300


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"amount": "5"}, "amount"),
        ({"amount": 10**15 + 1}, "amount"),
        ({"currency": "EUX"}, "currency"),
        ({"type": "nonsense"}, "type"),
        ({"seller_kind": "nobody"}, "seller_kind"),
        ({"months": 2}, "sales_per_month"),
        ({"months": 25, "sales_per_month": 1}, "months"),
        ({"more": 1}, "more"),
    ],
)
def test_a_projection_of_nonsense_is_refused_by_field(changes: dict[str, Any], field: str) -> None:
    make_type()
    wish = {"type": "ticket_sale", "amount": 1_000, "currency": "EUR"}
    answer = post("commissions/projections", customer(make_user()), wish | changes, key=None)
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["errors"]] == [field]


# ---------------------------------------------------------------- withdrawals


def test_a_withdrawal_is_asked_for_followed_and_taken_back(user: Any) -> None:
    answer = post("wallets/withdrawals", customer(user), WISH)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["amount"], made["payout"], made["waits_for"]) == (
        "requested",
        4_000,
        4_000,
        "approval",
    )
    assert made["destination"] == GOAL
    assert answer["Location"] == f"/api/v1/wallets/withdrawals/{made['id']}"
    assert results(get("wallets/withdrawals?status=requested", customer(user)))[0]["id"] == made["id"]
    assert results(get("wallets/withdrawals?status=paid", customer(user))) == []
    assert len(results(get("wallets/withdrawals?currency=EUR", customer(user)))) == 1
    assert results(get("wallets/withdrawals?currency=XOF", customer(user))) == []
    cancelled = post(f"wallets/withdrawals/{made['id']}/cancel", customer(user)).json()
    assert [step["status"] for step in cancelled["steps"]] == ["requested", "cancelled"]
    assert available(user) == 10_000
    late = post(f"wallets/withdrawals/{made['id']}/cancel", customer(user))
    assert (late.status_code, late.json()["code"], late.json()["withdrawal_status"]) == (
        409,
        "withdrawal_state",
        "cancelled",
    )


def test_a_repeated_request_is_the_same_withdrawal(user: Any) -> None:
    first = post("wallets/withdrawals", customer(user), WISH, key="k")
    again = post("wallets/withdrawals", customer(user), WISH, key="k")
    assert (again.status_code, again.json(), again["Idempotency-Replayed"]) == (201, first.json(), "true")
    assert post("wallets/withdrawals", customer(user), WISH | {"amount": 1}, key="k").status_code == 422
    assert post("wallets/withdrawals", customer(user), WISH, key=None).status_code == 400
    assert (Withdrawal.objects.count(), available(user)) == (1, 6_000)


def test_more_than_there_is_is_402_with_what_comes_when(user: Any) -> None:
    sale = sell(user, 500)
    answer = post("wallets/withdrawals", customer(user), WISH | {"amount": 10_500})
    told = answer.json()
    assert (answer.status_code, told["code"], told["available"], told["missing"]) == (
        402,
        "insufficient_funds",
        10_000,
        500,
    )
    assert told["upcoming"][0]["amount"] == 500
    assert told["upcoming"][0]["at"].startswith(f"{sale.releases_at:%Y-%m-%d}")
    assert (Withdrawal.objects.count(), available(user)) == (0, 10_000)


def test_a_second_open_one_is_409_and_too_much_a_day_403(user: Any, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = {"EUR": 5_000}
    post("wallets/withdrawals", customer(user), WISH)
    much = post("wallets/withdrawals", customer(user), WISH)
    assert (much.status_code, much.json()["code"], much.json()["left"]) == (403, "daily_maximum_reached", 1_000)
    second = post("wallets/withdrawals", customer(user), WISH | {"amount": 500})
    assert (second.status_code, second.json()["code"]) == (409, "withdrawal_open")
    assert available(user) == 6_000


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"amount": 10**15 + 1}, "amount"),
        ({"amount": True}, "amount"),
        ({"currency": "CREDIT"}, "currency"),
        ({"destination": {"type": "cheque"}}, "destination.type"),
        ({"destination": {"type": "paypal"}}, "destination.email"),
        ({"destination": GOAL | {"phone": "+2250555000000"}}, "destination.phone"),
        ({"destination": {"type": "paypal", "email": "ann"}}, "destination.email"),
        ({"destination": {"type": "mobile_money", "phone": "0555", "operator": "MTN"}}, "destination.phone"),
        ({"destination": {"type": "mobile_money", "phone": "+2250555000000"}}, "destination.operator"),
        (
            {"destination": {"type": "mobile_money", "phone": "+2250555000000", "operator": "mtn"}},
            "destination.operator",
        ),
        ({"destination": {"type": "stripe", "account": "cus_1"}}, "destination.account"),
        ({"destination": None}, "destination"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wish_that_does_not_parse_is_400_by_field_and_holds_nothing(
    user: Any, changes: dict[str, Any], field: str
) -> None:
    answer = post("wallets/withdrawals", customer(user), WISH | changes)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field])
    assert (Withdrawal.objects.count(), available(user)) == (0, 10_000)


def test_the_fee_is_shown_before(user: Any, settings: Any) -> None:
    settings.WALLETS_WITHDRAWAL_FEE_MINOR = {"EUR": 25}
    settings.WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = {"EUR": 5_000}
    found = get("wallets/withdrawals/quote?amount=4000&currency=EUR", customer(user)).json()
    assert found == {
        "amount": 4_000,
        "fee": 25,
        "payout": 3_975,
        "currency": "EUR",
        "minimum": 26,
        "maximum_per_day": 5_000,
        "left_today": 5_000,
        "is_automatic": False,
    }
    small = post("wallets/withdrawals", customer(user), WISH | {"amount": 25})
    assert (small.status_code, small.json()["code"], small.json()["minimum"]) == (400, "below_minimum", 26)


def test_a_service_needs_the_permission_for_each_act(user: Any) -> None:
    reads = service("view_wallet", acts_for=user)
    assert len(results(get("wallets/transactions", reads))) == 2
    assert post("wallets/withdrawals", reads, WISH).status_code == 403
    asks = service("request_withdrawal", acts_for=user)
    assert post("wallets/withdrawals", asks, WISH).status_code == 201
    assert get("wallets/balance", asks).status_code == 403
    assert faults() == {}


def test_strangers_are_asked_who_they_are() -> None:
    for path in ("wallets/balance", "wallets/withdrawals", "commissions", "commissions/rates"):
        assert get(path, {}).status_code == 401


def test_why_it_has_not_arrived_is_one_word(user: Any, settings: Any) -> None:
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    first = withdrawals.approve(withdrawal=ask(user, 100), by=make_user())
    goal = {"type": "mobile_money", "phone": "+2250555000000", "operator": "MTN"}
    second = post("wallets/withdrawals", customer(user), WISH | {"destination": goal}).json()
    withdrawals.approve(withdrawal=Withdrawal.objects.get(pk=second["id"]), by=make_user())
    assert get(f"wallets/withdrawals/{second['id']}", customer(user)).json()["waits_for"] == "destination"
    assert get(f"wallets/withdrawals/{first.pk}", customer(user)).json()["waits_for"] == "sending"
    withdrawals.mark_sending(withdrawal=first, gateway="paypal")
    assert get(f"wallets/withdrawals/{first.pk}", customer(user)).json()["waits_for"] == "gateway"
    withdrawals.mark_paid(withdrawal=first)
    assert get(f"wallets/withdrawals/{first.pk}", customer(user)).json()["waits_for"] == ""


@pytest.mark.parametrize(
    "path",
    [
        "wallets/statistics?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        "wallets/statistics?by=year",
        "wallets/statements?currency=EUR&month=2026-13",
        "wallets/statements",
        "wallets/transactions?cursor=nonsense",
        "wallets/transactions?cursor=cGFnZQ",
        "wallets/statistics?currency=EUR&until=0001-01-02T00:00:00Z&since=2026-01-01T00:00:00Z",
        "wallets/transactions?kind=nonsense",
        "wallets/withdrawals/quote?amount=0&currency=EUR",
        "commissions/rates?x=1",
    ],
)
def test_queries_that_make_no_sense_are_400(path: str, user: Any) -> None:
    assert get(path, customer(user)).status_code == 400
