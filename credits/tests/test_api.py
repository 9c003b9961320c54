"""The credits over HTTP: what callers send, what they get, and what nobody gets."""

import csv
import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from credits import balances, history, holds, purses, usage
from credits.api import reading
from credits.models import CostKind, DebtPolicy, Grant, Hold, Spend
from credits.tests.factories import make_cost, make_pack, make_price
from credits.tests.people import give, make_user
from rest.tests.callers import customer, get, post, service


@pytest.fixture
def ann(db: Any) -> User:
    return make_user()


@pytest.fixture
def ben(db: Any) -> User:
    return make_user()


def available(user: User) -> int:
    return balances.of(user).available


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# ---------------------------------------------------------------- spend


def test_a_customer_spends_by_action(ann: User) -> None:
    make_cost(action="image.generate", amount=5)
    give(ann, 20)
    answer = post("credits/spend", customer(ann), {"action": "image.generate", "quantity": 2, "reference": "job 7"})
    assert answer.status_code == 201
    assert answer.json() == {"spend": answer.json()["spend"], "cost": 10, "available": 10}
    spend = Spend.objects.get(pk=answer.json()["spend"])
    assert (spend.amount, spend.reference, spend.token_id, available(ann)) == (10, "job 7", None, 10)


def test_the_same_key_gets_the_first_answer_again(ann: User) -> None:
    give(ann, 20)
    first = post("credits/spend", customer(ann), {"amount": 5}, key="one")
    post("credits/spend", customer(ann), {"amount": 1}, key="two")
    again = post("credits/spend", customer(ann), {"amount": 5}, key="one")
    assert (again.status_code, again.json()) == (201, first.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert available(ann) == 14


def test_the_same_key_with_another_body_is_refused(ann: User) -> None:
    give(ann, 20)
    post("credits/spend", customer(ann), {"amount": 5}, key="one")
    assert problem(post("credits/spend", customer(ann), {"amount": 6}, key="one")) == (422, "idempotency_key_reused")
    assert available(ann) == 15


@pytest.mark.parametrize("path", ["spend", "holds", "grants", "spends/{id}/reverse"])
def test_a_key_is_required(ann: User, path: str) -> None:
    who = service("spend_credits", "issue_grant", "reverse_spend", acts_for=ann)
    answer = post(f"credits/{path.format(id=uuid.uuid4())}", who, {"amount": 1}, key=None)
    assert problem(answer) == (400, "idempotency_key_missing")


def test_an_unknown_country_is_offered_the_house_currency(ann: User) -> None:
    make_price(pack=make_pack(code="small", credits=50), currency="EUR", amount_minor=500)
    offered = post("credits/spend", customer(ann), {"amount": 10}).json()["cheapest_pack"]
    assert (offered["code"], offered["currency"]) == ("small", "EUR")


def test_where_nothing_is_on_sale_nothing_is_offered(ann: User) -> None:
    told = post("credits/spend", customer(ann), {"amount": 10}).json()
    assert (told["cheapest_pack"], told["checkout_url"], told["missing"]) == (None, None, 10)


def test_a_refusal_asks_for_offers_once(ann: User, django_assert_num_queries: Any) -> None:
    make_price(pack=make_pack(code="small", credits=50), currency="EUR", amount_minor=500)
    post("credits/spend", customer(ann), {"amount": 10})
    with django_assert_num_queries(0):  # the function's own call is not among Django's queries
        assert post("credits/spend", customer(ann), {"amount": 10}).json()["cheapest_pack"]["code"] == "small"


def test_a_spend_costs_no_query_beside_its_function(ann: User, django_assert_num_queries: Any) -> None:
    give(ann, 20)
    post("credits/spend", customer(ann), {"amount": 1})
    with django_assert_num_queries(0):
        assert post("credits/spend", customer(ann), {"amount": 1}).status_code == 201
        assert get("credits/balance", customer(ann)).status_code == 200
        assert post("credits/holds", customer(ann), {"amount": 1}).status_code == 201


def test_an_unknown_action_names_the_known_ones(ann: User) -> None:
    make_cost(action="image.generate", amount=5)
    make_cost(action="ai.generate", amount=5)
    give(ann, 20)
    answer = post("credits/spend", customer(ann), {"action": "image.generat"})
    assert problem(answer) == (400, "unknown_action")
    assert answer.json()["known_actions"] == ["ai.generate", "image.generate"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"action": "game.skip"}, "amount_required"),
        ({"action": "game.skip", "amount": 9}, "amount_out_of_range"),
        ({"action": "game.skip", "amount": 51}, "amount_out_of_range"),
        ({"action": "game.skip", "quantity": 2}, "quantity_not_allowed"),
        ({"action": "image.generate", "amount": 5}, "amount_not_allowed"),
        ({"action": "image.generate", "quantity": 10**15}, "quantity_out_of_range"),
        ({"action": "tokens"}, "quantity_required"),
    ],
)
def test_what_the_cost_table_does_not_allow(ann: User, body: dict[str, Any], code: str) -> None:
    make_cost(action="game.skip", kind=CostKind.BETWEEN, amount=None, minimum=10, maximum=50)
    make_cost(action="image.generate", amount=5)
    make_cost(action="tokens", kind=CostKind.PER_UNIT, amount=2)
    give(ann, 100)
    answer = post("credits/spend", customer(ann), body)
    assert problem(answer) == (400, code)
    if code == "amount_out_of_range":
        assert (answer.json()["minimum"], answer.json()["maximum"]) == (10, 50)
    assert available(ann) == 100


BAD_AMOUNTS = ["0", "-1", "1.5", "2.0", "1e2", "1000000000000001", '"5"', "true", "null", "[1]", "{}"]


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
@pytest.mark.parametrize("path", ["spend", "holds", "estimate", "grants"])
def test_bad_amounts(ann: User, path: str, amount: str) -> None:
    give(ann, 20)
    who = service("spend_credits", "issue_grant", acts_for=ann)
    more = ', "reason": "by hand"' if path == "grants" else ""
    answer = post(f"credits/{path}", who, f'{{"amount": {amount}{more}}}')
    assert problem(answer) == (400, "validation_error")
    assert [each["field"] for each in answer.json()["errors"]] == ["amount"]
    assert (available(ann), Grant.objects.count(), Hold.objects.count()) == (20, 1, 0)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json(ann: User, word: str) -> None:
    assert problem(post("credits/spend", customer(ann), f'{{"amount": {word}}}')) == (400, "malformed_body")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "action", "required"),
        ({"amount": 1, "quantity": 2}, "quantity", "unexpected"),
        ({"amount": 1, "price": 1}, "price", "unknown"),
        ({"amount": 1, "seconds": 9}, "seconds", "unknown"),
        ({"action": ""}, "action", "blank"),
        ({"action": 5}, "action", "invalid"),
        ({"action": " x"}, "action", "blanks"),
        ({"action": "image.generate", "quantity": 0}, "quantity", "min_value"),
        ({"action": "image.generate", "quantity": True}, "quantity", "invalid"),
        ({"amount": 1, "reference": "x" * 201}, "reference", "max_length"),
        ({"amount": 1, "reference": "a\u0007b"}, "reference", "control"),
        ({"amount": 1, "metadata": [1]}, "metadata", "invalid"),
        ({"amount": 1, "metadata": {"a": {"b": 1}}}, "metadata.a", "value"),
        ([], "", "invalid"),
    ],
)
def test_bodies_that_make_no_sense(ann: User, body: Any, field: str, code: str) -> None:
    give(ann, 20)
    answer = post("credits/spend", customer(ann), body)
    assert answer.status_code == 400
    if isinstance(body, dict):
        assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [(field, code)]
    assert available(ann) == 20


@pytest.mark.parametrize("unit", ["EUR", "credit", "", "A", "X" * 13, "CREDIT%20"])
@pytest.mark.parametrize("path", ["balance", "transactions", "explain"])
def test_units_that_are_none(ann: User, path: str, unit: str) -> None:
    answer = get(f"credits/{path}?unit={unit}", customer(ann))
    assert problem(answer) == (400, "validation_error")


def test_another_unit_is_another_purse(ann: User) -> None:
    give(ann, 20, unit="TOKEN")
    assert problem(post("credits/spend", customer(ann), {"amount": 5})) == (402, "insufficient_credits")
    assert post("credits/spend?unit=TOKEN", customer(ann), {"amount": 5}).json()["available"] == 15
    assert get("credits/balance?unit=TOKEN", customer(ann)).json()["available"] == 15
    make_cost(action="image.generate", amount=5)
    wrong = post("credits/spend?unit=TOKEN", customer(ann), {"action": "image.generate"})
    assert problem(wrong) == (400, "unit_mismatch")


def test_limits_are_told(ann: User) -> None:
    give(ann, 20)
    purses.set_limits(user=ann, daily=5, monthly=None)
    answer = post("credits/spend", customer(ann), {"amount": 6})
    assert problem(answer) == (403, "limit_reached")
    assert (answer.json()["kind"], answer.json()["limit"]) == ("daily", 5)


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        (post, "credits/spend", "spend_credits"),
        (post, "credits/spend-batch", "spend_credits"),
        (post, "credits/estimate", "spend_credits"),
        (post, "credits/holds", "spend_credits"),
        (post, f"credits/holds/{uuid.UUID(int=1)}/settle", "spend_credits"),
        (post, f"credits/holds/{uuid.UUID(int=1)}/release", "spend_credits"),
        (post, f"credits/spends/{uuid.UUID(int=1)}/reverse", "reverse_spend"),
        (post, "credits/grants", "issue_grant"),
        (get, "credits/balance", "view_purse"),
        (get, "credits/transactions", "view_spend"),
        (get, "credits/explain", "view_spend"),
    ],
)
def test_services_need_the_permission_and_a_customer(ann: User, method: Any, path: str, needed: str) -> None:
    assert method(path, {}).status_code == 401
    assert problem(method(path, service(acts_for=ann))) == (403, "permission_missing")
    assert problem(method(path, service("view_user", acts_for=ann))) == (403, "permission_missing")
    allowed = method(path, service(needed, acts_for=ann))
    assert allowed.status_code not in (401, 403)
    if needed not in ("reverse_spend", "issue_grant"):
        assert problem(method(path, service(needed))) == (400, "customer_required")


@pytest.mark.parametrize("path", ["credits/grants", f"credits/spends/{uuid.UUID(int=1)}/reverse"])
def test_customers_cannot_give_themselves_credits(ann: User, path: str) -> None:
    answer = post(path, customer(ann), {"amount": 5, "reason": "I want it"})
    assert problem(answer) == (403, "permission_missing")
    assert available(ann) == 0


def test_anothers_holds_and_spends_are_not_found(ann: User, ben: User) -> None:
    give(ann, 20)
    hold = holds.reserve(user=ann, key="h", amount=5)
    spend = usage.spend(user=ann, key="s", amount=5)
    assert problem(post(f"credits/holds/{hold.id}/settle", customer(ben), {"amount": 1})) == (404, "not_found")
    assert problem(post(f"credits/holds/{hold.id}/settle", customer(ben))) == (404, "not_found")
    assert problem(post(f"credits/holds/{hold.id}/release", customer(ben))) == (404, "not_found")
    reverse = post(f"credits/spends/{spend.id}/reverse", service("reverse_spend", acts_for=ben))
    assert problem(reverse) == (404, "not_found")
    assert post("credits/holds/nonsense/settle", customer(ben)).status_code == 404
    assert (Hold.objects.get().state, Spend.objects.get().reversed_amount) == ("open", 0)


def test_the_service_token_is_written_down(ann: User) -> None:
    give(ann, 20)
    post("credits/spend", service("spend_credits", acts_for=ann), {"amount": 5})
    token_id = Spend.objects.get().token_id
    assert token_id is not None
    assert get("credits/balance", customer(ann)).json()["available"] == 15


# ---------------------------------------------------------------- batches


def test_each_spend_of_a_batch_stands_for_itself(ann: User) -> None:
    make_cost(action="image.generate", amount=5)
    give(ann, 10)
    sent = [
        {"key": "a", "amount": 4},
        {"key": "b", "amount": 40},
        {"key": "a", "amount": 4},
        {"key": "a", "amount": 5},
        {"key": "c", "action": "nothing"},
        {"key": "d", "amount": 0},
        {"amount": 1},
        "nonsense",
        {"key": "f", "action": "image.generate", "unit": "TOKEN"},
        {"key": "g", "amount": 1, "unit": "EUR"},
        {"key": "e", "amount": 6},
    ]
    answer = post("credits/spend-batch", customer(ann), {"spends": sent}, key=None)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 402, 201, 422, 400, 400, 400, 400, 400, 400, 201]
    assert [each["key"] for each in results] == ["a", "b", "a", "a", "c", "d", None, None, "f", "g", "e"]
    first, lacking, replay = results[:3]
    assert (first["cost"], first["available"], "replayed" in first) == (4, 6, False)
    assert (lacking["problem"]["code"], lacking["problem"]["missing"]) == ("insufficient_credits", 34)
    assert (replay["spend"], replay["replayed"]) == (first["spend"], True)
    assert results[4]["problem"]["code"] == "unknown_action"
    assert results[5]["problem"]["errors"][0]["field"] == "amount"
    assert results[8]["problem"]["code"] == "unit_mismatch"
    alone = [
        post("credits/spend", customer(ann), {"action": "nothing"}),
        post("credits/spend?unit=TOKEN", customer(ann), {"action": "image.generate"}),
    ]
    for place, answer in zip((4, 8), alone, strict=True):
        told = [{**each, "request_id": None, "instance": None} for each in (answer.json(), results[place]["problem"])]
        assert (results[place]["status"], told[1]) == (answer.status_code, told[0])
    assert (available(ann), Spend.objects.count()) == (0, 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"spends": []},
        {"spends": {}},
        {"spends": [{"key": str(n), "amount": 1} for n in range(501)]},
        {"spends": [{"key": "a", "amount": 1}], "more": 1},
        [],
    ],
)
def test_batches_that_are_none(ann: User, body: Any) -> None:
    give(ann, 1_000)
    assert post("credits/spend-batch", customer(ann), body, key=None).status_code == 400
    assert available(ann) == 1_000


def test_the_unit_in_the_address_of_a_batch_is_that_of_spends_that_name_none(ann: User) -> None:
    give(ann, 10)
    give(ann, 10, unit="TOKEN")
    sent = [{"key": "a", "amount": 3}, {"key": "b", "amount": 4, "unit": "CREDIT"}]
    answer = post("credits/spend-batch?unit=TOKEN", customer(ann), {"spends": sent}, key=None)
    assert [each["available"] for each in answer.json()["results"]] == [7, 6]
    assert [balances.of(ann, unit).available for unit in ("TOKEN", "CREDIT")] == [7, 6]


def test_a_batch_is_one_round_trip(ann: User, django_assert_num_queries: Any) -> None:
    give(ann, 1_000)
    who = customer(ann)
    get("credits/balance", who)
    with django_assert_num_queries(0):
        sent = [{"key": f"{n}", "amount": 2} for n in range(500)]
        answer = post("credits/spend-batch", who, {"spends": sent}, key=None)
    assert {each["status"] for each in answer.json()["results"]} == {201}
    assert available(ann) == 0


# ---------------------------------------------------------------- estimate


def test_an_estimate_takes_nothing(ann: User) -> None:
    make_cost(action="image.generate", amount=15)
    give(ann, 20)
    told = post("credits/estimate", customer(ann), {"action": "image.generate", "quantity": 2}, key=None).json()
    expected = {"unit": "CREDIT", "cost": 30, "available": 20, "missing": 10, "can_pay": False, "unlimited": False}
    assert told == expected
    assert available(ann) == 20


@pytest.mark.parametrize(("limit", "missing"), [(4, 5), (5, 0)])
def test_what_may_be_owed_is_not_missing(ann: User, limit: int, missing: int) -> None:
    give(ann, 20)
    purses.set_debt_policy(user=ann, policy=DebtPolicy.LIMITED, limit=limit)
    told = post("credits/estimate", customer(ann), {"amount": 25}, key=None).json()
    assert (told["missing"], told["can_pay"]) == (missing, missing == 0)


def test_nothing_is_missing_for_the_unlimited(ann: User) -> None:
    purses.allow_unlimited(user=ann, until=timezone.now() + timedelta(days=1))
    told = post("credits/estimate", customer(ann), {"amount": 25}, key=None).json()
    assert (told["missing"], told["can_pay"], told["unlimited"]) == (0, True, True)


# ---------------------------------------------------------------- holds


def test_a_hold_is_settled_in_part(ann: User) -> None:
    give(ann, 20)
    held = post("credits/holds", customer(ann), {"amount": 10, "seconds": 60})
    assert held.status_code == 201
    hold = Hold.objects.get()
    assert hold.expires_at - hold.created_at < timedelta(seconds=60, milliseconds=1)  # an id knows milliseconds
    told = held.json()
    assert parse_datetime(told.pop("expires_at")) == hold.expires_at
    assert told == {"hold": str(hold.pk), "amount": 10, "available": 10}
    settled = post(f"credits/holds/{held.json()['hold']}/settle", customer(ann), {"amount": 4}, key=None)
    assert settled.status_code == 201
    assert settled.json() == {"spend": settled.json()["spend"], "cost": 4, "available": 16}


def test_a_hold_for_another_time_is_another_wish(ann: User) -> None:
    give(ann, 20)
    first = post("credits/holds", customer(ann), {"amount": 10, "seconds": 60}, key="job")
    again = post("credits/holds", customer(ann), {"amount": 10, "seconds": 60}, key="job")
    assert (again.status_code, again.json()) == (201, first.json())
    assert problem(post("credits/holds", customer(ann), {"amount": 10, "seconds": 61}, key="job")) == (
        422,
        "idempotency_key_reused",
    )


def test_a_hold_by_an_action_of_a_range_takes_the_most(ann: User) -> None:
    make_cost(action="game.skip", kind=CostKind.BETWEEN, amount=None, minimum=10, maximum=50)
    give(ann, 100)
    assert post("credits/holds", customer(ann), {"action": "game.skip"}).json()["amount"] == 50


def test_a_hold_is_given_back(ann: User) -> None:
    give(ann, 20)
    hold = post("credits/holds", customer(ann), {"amount": 10}).json()["hold"]
    freed = post(f"credits/holds/{hold}/release", customer(ann), key=None)
    assert (freed.status_code, freed.json()) == (200, {"hold": hold, "amount": 10, "available": 20})


def test_a_hold_ends_once(ann: User) -> None:
    give(ann, 20)
    hold = post("credits/holds", customer(ann), {"amount": 10}).json()["hold"]
    above = post(f"credits/holds/{hold}/settle", customer(ann), {"amount": 11})
    assert problem(above) == (409, "hold_exceeded")
    assert above.json()["held"] == 10
    post(f"credits/holds/{hold}/settle", customer(ann))
    for act in ("settle", "release"):
        again = post(f"credits/holds/{hold}/{act}", customer(ann))
        assert problem(again) == (409, "hold_resolved")
        assert again.json()["state"] == "settled"
    assert available(ann) == 10


def test_a_settle_with_a_key_can_be_repeated(ann: User) -> None:
    give(ann, 20)
    hold = post("credits/holds", customer(ann), {"amount": 10}).json()["hold"]
    first, again = [post(f"credits/holds/{hold}/settle", customer(ann), key="once") for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("seconds", [0, -1, 604_801, 1.5, "60", True])
def test_a_hold_lasts_a_sensible_time(ann: User, seconds: Any) -> None:
    give(ann, 20)
    answer = post("credits/holds", customer(ann), {"amount": 10, "seconds": seconds})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "seconds")


# ---------------------------------------------------------------- giving


def test_a_service_gives_credits_once(ann: User) -> None:
    who = service("issue_grant", acts_for=ann)
    until = timezone.now() + timedelta(days=30)
    body = {"amount": 50, "reason": "sorry for the outage", "expires_at": until.isoformat()}
    first, again = [post("credits/grants", who, body, key="sorry") for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    grant = Grant.objects.get()
    assert (str(grant.entry_id), grant.source, grant.reason) == (
        first.json()["grant"],
        "manual",
        "sorry for the outage",
    )
    assert (grant.expires_at, available(ann)) == (until, 50)


@pytest.mark.parametrize(
    ("named", "unit"), [({}, ""), ({"unit": "TOKEN"}, ""), ({}, "TOKEN"), ({"unit": "TOKEN"}, "TOKEN")]
)
def test_the_unit_of_what_is_given_stands_in_the_body_or_in_the_address(
    ann: User, named: dict[str, str], unit: str
) -> None:
    path = "credits/grants" + (f"?unit={unit}" if unit else "")
    answer = post(path, service("issue_grant", acts_for=ann), {"amount": 5, "reason": "by hand"} | named)
    assert (answer.status_code, answer.json()["unit"]) == (201, "TOKEN" if named or unit else "CREDIT")
    assert Grant.objects.get().purse.unit == answer.json()["unit"]


def test_two_units_for_one_gift_are_none(ann: User) -> None:
    body = {"amount": 5, "reason": "by hand", "unit": "CREDIT"}
    answer = post("credits/grants?unit=TOKEN", service("issue_grant", acts_for=ann), body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "ambiguous")
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": " x"}, "reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"unit": "EUR"}, "unit"),
        ({"source": "pack"}, "source"),
    ],
)
def test_grants_that_make_no_sense(ann: User, changes: dict[str, Any], field: str) -> None:
    who = service("issue_grant", acts_for=ann)
    answer = post("credits/grants", who, {"amount": 5, "reason": "by hand"} | changes)
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (400, [field])
    assert not Grant.objects.exists()


def test_a_spend_is_given_back_in_parts_and_never_more(ann: User) -> None:
    give(ann, 20)
    spend = usage.spend(user=ann, key="s", amount=10)
    who = service("reverse_spend", acts_for=ann)
    path = f"credits/spends/{spend.id}/reverse"
    part, again = [post(path, who, {"amount": 3, "reason": "half a picture"}, key="part") for _ in range(2)]
    assert part.json() == {
        "reversal": part.json()["reversal"],
        "spend": str(spend.id),
        "amount": 3,
        "available": 13,
    }
    assert (part.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    more = post(path, who, {"amount": 8})
    assert (problem(more), more.json()["left"]) == ((409, "spend_exceeded"), 7)
    assert post(path, who).json()["amount"] == 7
    assert available(ann) == 20


# ---------------------------------------------------------------- reading


def test_a_balance_tells_its_grants_in_burn_order(ann: User) -> None:
    soon = timezone.now() + timedelta(days=1)
    paid, promised = give(ann, 80), give(ann, 20, expires_at=soon, is_promotional=True)
    usage.spend(user=ann, key="s", amount=5)
    holds.reserve(user=ann, key="h", amount=5)
    told = get("credits/balance", customer(ann)).json()
    assert {name: told[name] for name in ("unit", "available", "held", "owed", "unlimited", "state")} == {
        "unit": "CREDIT",
        "available": 90,
        "held": 5,
        "owed": 0,
        "unlimited": False,
        "state": "ok",
    }
    assert [each["grant"] for each in told["grants"]] == [str(promised.entry_id), str(paid.entry_id)]
    assert told["next_expiry"]["grant"] == str(promised.entry_id)
    assert (told["next_expiry"]["amount"], parse_datetime(told["next_expiry"]["at"])) == (15, soon)


def test_nobody_has_nothing(ann: User) -> None:
    told = get("credits/balance", customer(ann)).json()
    assert (told["available"], told["state"], told["grants"], told["next_expiry"]) == (0, "empty", [], None)


def many_transactions(user: User) -> None:
    make_cost(action="image.generate", amount=1)
    give(user, 100)
    for number in range(5):
        usage.spend(user=user, key=f"i{number}", action="image.generate")
        usage.spend(user=user, key=f"a{number}", amount=2, reference="=1+1")


def test_transactions_come_in_pages(ann: User, ben: User) -> None:
    many_transactions(ann)
    give(ben, 7)
    path, seen = "credits/transactions?limit=4", []
    while path:
        page = get(path, customer(ann)).json()
        seen += [each["change"] for each in page["results"]]
        assert len(page["results"]) <= 4
        path = page["next"].partition("/api/v1/")[2] if page["next"] else ""
    assert seen == [-2, -1] * 5 + [100]


@pytest.mark.parametrize(
    ("query", "changes"),
    [
        ("kind=credits.grant", [100]),
        ("kind=credits.expiry", []),
        ("action=image.generate", [-1] * 5),
        ("kind=credits.spend&action=image.generate&limit=2", [-1] * 2),
        ("until=2020-01-01T00:00:00Z", []),
        ("since=2020-01-01T00:00:00Z&kind=credits.grant", [100]),
        ("since=2199-01-01T00:00:00Z", []),
    ],
)
def test_transactions_are_filtered(ann: User, query: str, changes: list[int]) -> None:
    many_transactions(ann)
    page = get(f"credits/transactions?{query}", customer(ann)).json()
    assert [each["change"] for each in page["results"]] == changes
    assert (page["next"] is None) == ("limit" not in query)


def test_a_filtered_page_goes_on_where_it_ended(ann: User) -> None:
    many_transactions(ann)
    page = get("credits/transactions?action=image.generate&limit=3", customer(ann)).json()
    rest = get(page["next"].partition("/api/v1/")[2], customer(ann)).json()
    assert ([each["change"] for each in rest["results"]], rest["next"]) == ([-1, -1], None)


@pytest.mark.parametrize(
    ("query", "headers"), [("?format=csv", {}), ("", {"accept": "text/csv"}), ("?format=csv&limit=1", {})]
)
def test_transactions_as_csv_are_complete_and_no_formula(ann: User, query: str, headers: dict[str, str]) -> None:
    many_transactions(ann)
    answer = get(f"credits/transactions{query}", customer(ann), **headers)
    assert (answer.status_code, answer.streaming) == (200, True)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [int(row["change"]) for row in rows] == [-2, -1] * 5 + [100]
    assert {row["reference"] for row in rows} == {"", "'=1+1"}


def test_a_long_search_answers_in_steps(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever filters for something rare does not wait for the whole history, and misses nothing."""
    many_transactions(ann)
    monkeypatch.setattr(history, "LARGEST_PAGE", 4)
    monkeypatch.setattr(reading, "MOST_SCANNED", 8)
    first = get("credits/transactions?kind=credits.grant", customer(ann)).json()
    assert first["results"] == []
    rest = get(first["next"].partition("/api/v1/")[2], customer(ann)).json()
    assert ([each["change"] for each in rest["results"]], rest["next"]) == ([100], None)
    file = get("credits/transactions?format=csv&kind=credits.grant", customer(ann))
    rows = list(csv.DictReader(io.StringIO(b"".join(file.streaming_content).decode())))
    assert [row["change"] for row in rows] == ["100"]


@pytest.mark.parametrize(
    "query",
    ["kind=nothing", "cursor=AAAA", "cursor=%C3%A9", "limit=0", "limit=101", "since=yesterday", "format=xml", "x=1"],
)
def test_lists_that_make_no_sense(ann: User, query: str) -> None:
    assert get(f"credits/transactions?{query}", customer(ann)).status_code == 400


def test_an_explanation_sums_to_the_balance_of_its_instant(ann: User) -> None:
    then = timezone.now() - timedelta(hours=1)
    give(ann, 20, at=then)
    usage.spend(user=ann, key="s", amount=5, reference="job 1")
    now, past = [
        get(f"credits/explain{query}", customer(ann)).json()
        for query in ("", f"?at={(then + timedelta(minutes=1)).isoformat().replace('+00:00', 'Z')}")
    ]
    assert (now["balance"], past["balance"]) == (15, 20)
    assert [line["change"] for line in now["lots"][0]["lines"]] == [20, -5]
    assert now["lots"][0]["lines"][1]["reference"] == "job 1"
    assert sum(line["change"] for lot in past["lots"] for line in lot["lines"]) == 20


def test_nobodys_transactions_are_anothers(ann: User, ben: User) -> None:
    give(ann, 20)
    assert get("credits/transactions", customer(ben)).json()["results"] == []
    assert get("credits/explain", customer(ben)).json() == {"unit": "CREDIT", "balance": 0, "lots": []}


def test_nothing_is_explained_at_the_calendars_end(ann: User) -> None:
    answer = get("credits/explain?at=9999-12-31T23:59:59.999999Z", customer(ann))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "too_late")
