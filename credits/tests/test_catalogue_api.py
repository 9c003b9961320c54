from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from credits.tests.factories import make_between, make_cost, make_pack, make_price

pytestmark = pytest.mark.django_db


def packs(client: Client, **query: str) -> Any:
    answer = client.get("/api/v1/packs", query)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def test_strangers_see_packs_with_prices_by_currency(client: Client) -> None:
    sold = make_pack(
        {"EUR": 999, "XOF": 6550}, credits=250, bonus=25, name_fr="Crédits x100", bonus_expires_after_days=30
    )
    make_price(sold, amount_minor=1, valid_from=timezone.now() + timedelta(days=1))
    make_pack({"EUR": 1}, code="off", is_active=False)
    assert packs(client) == [
        {
            "code": "image-100",
            "catalogue": "image-credits",
            "name": {"en": "Credits x100", "fr": "Crédits x100"},
            "description": {"en": "", "fr": ""},
            "unit": "CREDIT",
            "unit_name": None,
            "credits": 250,
            "bonus": 25,
            "total": 275,
            "expires_after_days": None,
            "bonus_expires_after_days": 30,
            "tax_included": True,
            "prices": [
                {"currency": "EUR", "amount": 999, "per_credit": "0.036327"},
                {"currency": "XOF", "amount": 6550, "per_credit": "23.818182"},
            ],
        }
    ]


def test_packs_are_filtered(client: Client) -> None:
    make_pack({"EUR": 999, "XOF": 6550}, code="both")
    make_pack({"EUR": 999}, code="euros", catalogue="ai-credits")
    make_pack({"XOF": 6550}, code="sparks", unit="SPARK")
    assert {pack["code"] for pack in packs(client, currency="XOF")} == {"both", "sparks"}
    assert packs(client, currency="XOF", unit="CREDIT")[0]["prices"] == [
        {"currency": "XOF", "amount": 6550, "per_credit": "65.500000"}
    ]
    assert [pack["code"] for pack in packs(client, catalogue="ai-credits")] == ["euros"]
    assert packs(client, catalogue="nobodys") == []


def test_costs_show_the_version_valid_now_and_no_real_cost(client: Client) -> None:
    make_cost(amount=5, real_cost_micros=40_000, real_cost_currency="EUR")
    now = make_cost(version=2, amount=6, valid_from=timezone.now() - timedelta(hours=1))
    make_cost(version=3, amount=7, valid_from=timezone.now() + timedelta(hours=1))
    make_between(10, 50, action="game.skip_level", catalogue="companion-tokens")
    make_cost(action="gone", is_active=False)
    answer = client.get("/api/v1/costs")
    assert "real" not in answer.content.decode()
    first, second = answer.json()["results"]
    assert first == {
        "action": "ai.generate",
        "catalogue": "ai-credits",
        "label": {"en": "Generate", "fr": "Generate"},
        "kind": "fixed",
        "amount": 6,
        "minimum": None,
        "maximum": None,
        "unit": "CREDIT",
        "version": 2,
        "valid_from": now.valid_from.isoformat().replace("+00:00", "Z"),
    }
    assert (second["kind"], second["amount"], second["minimum"], second["maximum"]) == ("between", None, 10, 50)
    only = client.get("/api/v1/costs", {"catalogue": "companion-tokens"}).json()["results"]
    assert [cost["action"] for cost in only] == ["game.skip_level"]
    assert client.get("/api/v1/costs", {"unit": "SPARK"}).json()["results"] == []


@pytest.mark.parametrize("path", ["packs", "costs"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("currency=eur", "currency"),
        ("currency=EUX", "currency"),
        ("unit=credit", "unit"),
        ("unit=", "unit"),
        ("unit=EUR", "unit"),
        ("catalogue=A%00", "catalogue"),
        ("catalogue=a&catalogue=b", "catalogue"),
        ("colour=blue", "colour"),
    ],
)
def test_wrong_filters_are_named(client: Client, path: str, query: str, field: str) -> None:
    answer = client.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [each["field"] for each in answer.json()["errors"]] == [field]


def test_catalogue_is_read_in_few_queries_however_long(client: Client, django_assert_num_queries: Any) -> None:
    call_command("seed_catalogue", "--all", stdout=StringIO())
    with django_assert_num_queries(2):
        assert len(packs(client)) == 8
    with django_assert_num_queries(1):
        assert len(client.get("/api/v1/costs").json()["results"]) == 7
    with django_assert_num_queries(0):
        client.get("/api/v1/costs")


def test_catalogue_is_read_only_and_counted_as_a_stranger(client: Client) -> None:
    for path in ("packs", "costs"):
        assert client.post(f"/api/v1/{path}", {}, content_type="application/json").status_code == 405
        assert "RateLimit-Limit" in client.get(f"/api/v1/{path}").headers


def test_pack_says_what_its_catalogue_calls_a_credit(client: Client) -> None:
    make_pack({"EUR": 999}, catalogue="companion-tokens")
    [pack] = packs(client)
    assert pack["unit_name"] == {"one": {"en": "token", "fr": "jeton"}, "many": {"en": "tokens", "fr": "jetons"}}
