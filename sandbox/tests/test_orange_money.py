"""Orange Money Web Payment in the box."""

import json
from typing import Any

import pytest
import requests

from sandbox.testing import Sandbox
from sandbox.tests.clients import Orange, press, redirect
from sandbox.tests.conftest import Shop


@pytest.fixture
def orange(sandbox: Sandbox, shop: Shop) -> Orange:
    return Orange(sandbox, f"{shop.url}/hooks/orange/opaque")


def test_a_payment_is_made_paid_and_asked_for(sandbox: Sandbox, orange: Orange) -> None:
    made = orange.pay()
    assert (made.status_code, made.json()["message"]) == (201, "OK")
    assert orange.status(made.json()).json() == {"status": "INITIATED", "order_id": "pay1"}
    assert sandbox.play(redirect(made.json()["payment_url"]))["redirect_to"] == "http://127.0.0.1/return"
    found = orange.status(made.json())
    assert (found.status_code, found.json()["status"]) == (201, "SUCCESS")
    assert found.json()["txnid"].startswith("MP")
    (line,) = sandbox.books("orange_money")["payments"]
    assert (line["reference"], line["amount_minor"], line["currency"], line["state"]) == ("pay1", 5000, "OUV", "paid")


def test_a_wrong_code_fails_the_payment(sandbox: Sandbox, orange: Orange) -> None:
    made = orange.pay().json()
    assert sandbox.play(redirect(made["payment_url"]), "decline")["redirect_to"] == "http://127.0.0.1/cancel"
    assert orange.status(made).json()["status"] == "FAILED"


def test_who_leaves_lets_the_session_run_out(sandbox: Sandbox, orange: Orange) -> None:
    made = orange.pay().json()
    assert sandbox.play(redirect(made["payment_url"]), "abandon")["redirect_to"] == "http://127.0.0.1/cancel"
    assert orange.status(made).json()["status"] == "INITIATED"
    sandbox.advance(600)
    assert orange.status(made).json()["status"] == "EXPIRED"


def test_a_page_pays_nothing_after_ten_minutes(sandbox: Sandbox, orange: Orange) -> None:
    made = orange.pay().json()
    sandbox.advance(600)
    press(made["payment_url"], "pay")
    assert sandbox.books("orange_money")["payments"][0]["state"] == "expired"


def test_a_slow_payment_runs_for_half_a_minute(sandbox: Sandbox, orange: Orange) -> None:
    made = orange.pay().json()
    press(made["payment_url"], "slow")
    assert orange.status(made).json()["status"] == "PENDING"
    sandbox.advance(30)
    assert orange.status(made).json()["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"currency": "XOF"}, 400, 24),
        ({"amount": 10.5}, 400, 24),
        ({"amount": -5}, 400, 24),
        ({"order_id": "o" * 31}, 400, 24),
        ({"notif_url": "http://127.0.0.1/" + "n" * 120}, 400, 24),
        ({"lang": "de"}, 400, 24),
        ({"return_url": ""}, 400, 23),
        ({"merchant_key": "wrong"}, 403, 50),
        ({"country": "fr"}, 403, 50),
    ],
)
def test_what_orange_would_refuse_is_refused(
    sandbox: Sandbox, orange: Orange, wrong: dict[str, Any], status: int, code: int
) -> None:
    reply = orange.pay(**wrong)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert sandbox.books("orange_money")["payments"] == []


def test_each_country_has_its_money(sandbox: Sandbox, orange: Orange) -> None:
    assert orange.pay("a", country="ci", currency="XOF").status_code == 201
    assert orange.pay("b", country="mg", currency="MGA").status_code == 201
    amounts = [(line["currency"], line["amount_minor"]) for line in sandbox.books("orange_money")["payments"]]
    assert amounts == [("XOF", 5000), ("MGA", 500_000)]


def test_an_order_id_is_never_used_twice(sandbox: Sandbox, orange: Orange) -> None:
    orange.pay()
    assert orange.pay().json()["code"] == 1204
    assert len(sandbox.books("orange_money")["payments"]) == 1


@pytest.mark.parametrize("wrong", [{"order_id": "pay2"}, {"amount": 5001}])
def test_a_status_is_told_to_whoever_knows_all_three(orange: Orange, wrong: dict[str, Any]) -> None:
    reply = orange.status(orange.pay().json(), **wrong)
    assert (reply.status_code, reply.json()["code"]) == (404, 60)


def test_a_token_runs_out_after_an_hour(sandbox: Sandbox, orange: Orange) -> None:
    sandbox.advance(3_600)
    reply = orange.pay()
    assert (reply.status_code, reply.json()["code"]) == (401, 42)


def test_wrong_credentials_get_no_token(sandbox: Sandbox) -> None:
    reply = requests.post(f"{sandbox.base('orange_money')}/oauth/v3/token", auth=("sandbox-client", "x"), timeout=5)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_the_shop_is_told_once_with_the_token_of_the_payment(sandbox: Sandbox, orange: Orange, shop: Shop) -> None:
    made = orange.pay().json()
    shop.status = 500
    sandbox.play(redirect(made["payment_url"]))
    sandbox.advance(86_400)
    (letter,) = shop.posted(sandbox, "orange_money")
    told = json.loads(letter.body)
    assert (told["status"], told["notif_token"]) == ("SUCCESS", made["notif_token"])
    assert set(told) == {"status", "notif_token", "txnid"}


def test_a_forger_does_not_know_the_token(sandbox: Sandbox, orange: Orange, shop: Shop) -> None:
    sandbox.turn("orange_money", notify={"forge": 1.0})
    made = orange.pay().json()
    (letter,) = shop.posted(sandbox, "orange_money")
    told = json.loads(letter.body)
    assert told["status"] == "SUCCESS"
    assert told["notif_token"] != made["notif_token"]
