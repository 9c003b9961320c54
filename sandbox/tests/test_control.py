"""The control interface and the dials, over a real connection."""

import json
import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import registry
from sandbox.box import Sandbox as Box
from sandbox.clock import Clock
from sandbox.server import LARGEST_BODY_BYTES
from sandbox.testing import BASE_DIR, PATIENCE_SECONDS, Refused, Sandbox
from sandbox.tests.clients import CinetPay, Orange, PayPal, redirect
from sandbox.wire import Request

FOUR = ["paypal", "cinetpay", "mtn_momo", "orange_money"]


def paid_at(sandbox: Sandbox, gateway: str) -> list[tuple[str, str]]:
    return [(each["reference"], each["state"]) for each in sandbox.books(gateway)["payments"]]


def test_what_is_left_out_of_the_dials_stays(sandbox: Sandbox) -> None:
    sandbox.turn("paypal", latency_ms=5, notify={"drop": 0.5})
    shown = sandbox.turn("paypal", notify={"duplicate": 1.0})
    assert (shown["latency_ms"], shown["notify"]["drop"], shown["notify"]["duplicate"]) == (5, 0.5, 1.0)


def test_delete_resets_the_dials(sandbox: Sandbox) -> None:
    sandbox.turn("paypal", outage=True)
    assert sandbox.control("DELETE", "/_dials/paypal")["outage"] is False


@pytest.mark.parametrize(
    "dials", [{"drop_befor": 1.0}, {"drop_before": 1.5}, {"outage": 1}, {"latency_ms": -1}, {"notify": {"lose": 0.1}}]
)
def test_a_dial_that_cannot_be_turned_so_is_refused_and_none_moves(sandbox: Sandbox, dials: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        sandbox.turn("paypal", html=1.0, **dials)
    assert sandbox.control("GET", "/_dials/paypal")["html"] == 0.0


def test_drop_before_breaks_the_connection_and_nothing_was_made(sandbox: Sandbox) -> None:
    orange = Orange(sandbox)
    sandbox.turn("orange_money", drop_before=1.0)
    with pytest.raises(requests.ConnectionError):
        orange.pay()
    assert sandbox.books("orange_money")["payments"] == []


def test_drop_after_breaks_the_connection_and_the_payment_stands(sandbox: Sandbox) -> None:
    orange = Orange(sandbox)
    sandbox.turn("orange_money", drop_after=1.0)
    with pytest.raises(requests.ConnectionError):
        orange.pay()
    assert paid_at(sandbox, "orange_money") == [("pay1", "open")]


@pytest.mark.parametrize(
    ("dials", "status", "made"),
    [
        ({"http500_before": 1.0}, 500, []),
        ({"http500_after": 1.0}, 500, [("pay1", "open")]),
        ({"html": 1.0}, 200, [("pay1", "open")]),
        ({"outage": True}, 503, []),
    ],
)
def test_a_bad_answer_says_nothing_of_what_was_done(
    sandbox: Sandbox, dials: dict[str, Any], status: int, made: list[tuple[str, str]]
) -> None:
    orange = Orange(sandbox)
    sandbox.turn("orange_money", **dials)
    reply = orange.pay()
    assert reply.status_code == status
    assert "pay_token" not in reply.text
    assert paid_at(sandbox, "orange_money") == made


def test_a_caller_who_gave_up_is_acted_for_all_the_same(sandbox: Sandbox) -> None:
    paypal = PayPal(sandbox)
    sandbox.turn("paypal", latency_ms=300)
    client = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    headers = {"Authorization": str(paypal.session.headers["Authorization"]), "Content-Type": "application/json"}
    client.request("POST", "/paypal/v2/checkout/orders", json.dumps(_order()), headers)
    client.close()
    until = time.monotonic() + PATIENCE_SECONDS
    while not any("acted_with_status" in line and line["path"].endswith("orders") for line in sandbox.requests()):
        assert time.monotonic() < until, "It never acted."
    assert len(sandbox.books("paypal")["payments"]) == 1


@pytest.mark.parametrize(("is_reset", "acted"), [(True, 0), (False, 1)])
def test_a_call_that_waited_through_a_reset_acts_no_more(
    monkeypatch: pytest.MonkeyPatch, is_reset: bool, acted: int
) -> None:
    """In this process, where the reset comes while it waits and at no other time."""
    clock = Clock()
    gateways = {"cinetpay": registry.gateways(clock, {"cinetpay": {"latency_ms": 300}}, {})["cinetpay"]}
    box, gateway, waited = Box(clock, gateways), gateways["cinetpay"], []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if is_reset:
            gateway.reset()

    monkeypatch.setattr("sandbox.box.time.sleep", wait)
    content = CinetPay.account | {
        "transaction_id": "pay1", "amount": 5000, "currency": "XOF", "description": "Order 77", "channels": "ALL",
        "notify_url": "http://127.0.0.1:9/hook", "return_url": "http://127.0.0.1/return",
    }  # fmt: skip
    asked = Request(
        method="POST", path="/v2/payment", query={}, headers={"content-type": "application/json"},
        body=json.dumps(content).encode(), base_url="http://127.0.0.1/cinetpay",
    )  # fmt: skip
    reply = box.call(gateway, asked)
    assert (waited, reply is None, len(gateway.books())) == ([0.3], is_reset, acted)


def _order() -> dict[str, Any]:
    return {"intent": "CAPTURE", "purchase_units": [{"amount": {"currency_code": "EUR", "value": "1.00"}}]}


def test_the_same_seed_spoils_the_same_calls(sandbox: Sandbox) -> None:
    orange = Orange(sandbox)

    def statuses(seed: int, start: int) -> list[int]:
        sandbox.turn("orange_money", seed=seed, http500_before=0.5)
        return [orange.pay(f"o{number}").status_code for number in range(start, start + 12)]

    first = statuses(7, 0)
    assert set(first) == {201, 500}
    assert statuses(7, 100) == first
    assert statuses(8, 200) != first


def test_pages_and_control_are_spared_by_the_dials(sandbox: Sandbox) -> None:
    made = Orange(sandbox).pay().json()
    sandbox.turn("orange_money", outage=True)
    page = requests.get(made["payment_url"], timeout=5)
    assert page.status_code == 200
    assert "no money moves here" in page.text


def test_the_clock_moves_forward_only(sandbox: Sandbox) -> None:
    with pytest.raises(Refused):
        sandbox.advance(-1)
    assert sandbox.control("GET", "/_clock")["offset_seconds"] == 0.0


def test_calls_are_remembered_without_their_secrets(sandbox: Sandbox) -> None:
    Orange(sandbox).pay()
    calls = sandbox.requests("orange_money")
    assert [call["path"] for call in calls] == ["/oauth/v3/token", "/orange-money-webpay/dev/v1/webpayment"]
    assert json.loads(calls[1]["body"])["order_id"] == "pay1"
    assert all("authorization" not in call["headers"] for call in calls)


def test_reset_of_one_gateway_spares_the_others(sandbox: Sandbox) -> None:
    Orange(sandbox).pay()
    PayPal(sandbox).order()
    sandbox.control("POST", "/_reset", {"gateway": "paypal"})
    assert sandbox.books("paypal")["payments"] == []
    assert len(sandbox.books("orange_money")["payments"]) == 1
    assert {call["gateway"] for call in sandbox.requests()} == {"orange_money"}


@pytest.mark.parametrize(
    "played", [{"act": "pay"}, {"next_action": {"type": "redirect", "url": "x"}, "act": "steal"}, {"next_action": []}]
)
def test_a_play_that_makes_no_sense_is_refused(sandbox: Sandbox, played: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        sandbox.control("POST", "/_play", played)


def test_a_page_of_another_shop_cannot_be_played(sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="No gateway here"):
        sandbox.play(redirect("https://pay.example.com/checkout"))


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_pages_of_other_sites_cannot_use_the_control(sandbox: Sandbox, headers: dict[str, str]) -> None:
    reply = requests.post(f"{sandbox.url}/_reset", json={}, headers=headers, timeout=5)
    assert reply.status_code == 403


def test_an_oversized_body_is_refused(sandbox: Sandbox) -> None:
    client = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=5)
    client.putrequest("POST", "/_play")
    client.putheader("Content-Length", str(LARGEST_BODY_BYTES + 1))
    client.endheaders()  # and no byte of it
    assert client.getresponse().status == 413
    client.close()


def test_the_index_shows_every_gateway_and_what_happened(sandbox: Sandbox) -> None:
    made = Orange(sandbox).pay().json()
    page = requests.get(sandbox.url, timeout=5).text
    assert all(f"/_books/{name}" in page for name in FOUR)
    assert made["payment_url"] in page


def started(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        input="",
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_does_not_start_in_production() -> None:
    done = started("--port", "0", APP_ENV="production")
    assert done.returncode == 1
    assert "production" in done.stderr


def test_a_bad_dial_in_the_environment_is_said_at_once() -> None:
    done = started("--port", "0", SANDBOX_DIALS='{"paypal": {"speed": 1}}')
    assert done.returncode == 1
    assert "There is no dial speed" in done.stderr


def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--stop-with-stdin", "--state", str(tmp_path / "s.json")]

    def run(act: Any) -> Any:
        with subprocess.Popen(
            command, cwd=BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            try:
                return act(Sandbox(process.stdout.readline().split()[-1]))
            finally:
                process.stdin.close()
                process.wait(20)

    def first(sandbox: Sandbox) -> None:
        sandbox.advance(60)
        Orange(sandbox).pay("kept")

    run(first)
    books = run(lambda sandbox: (paid_at(sandbox, "orange_money"), sandbox.control("GET", "/_clock")["offset_seconds"]))
    assert books == ([("kept", "open")], 60.0)
