"""CinetPay in the box: checkout v2, transfers, and the newer API."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from sandbox.cinetpay import operators
from sandbox.testing import Sandbox
from sandbox.tests.clients import CinetPay, press, redirect
from sandbox.tests.conftest import Received, Shop

# The order that CinetPay documents.
SIGNED = (
    *("cpm_site_id", "cpm_trans_id", "cpm_trans_date", "cpm_amount", "cpm_currency", "signature", "payment_method"),
    *("cel_phone_num", "cpm_phone_prefixe", "cpm_language", "cpm_version", "cpm_payment_config", "cpm_page_action"),
    *("cpm_custom", "cpm_designation", "cpm_error_message"),
)


@pytest.fixture
def cinetpay(sandbox: Sandbox, shop: Shop) -> CinetPay:
    return CinetPay(sandbox, f"{shop.url}/webhooks/cinetpay")


def form_of(letter: Received) -> dict[str, str]:
    return dict(parse_qsl(letter.body.decode(), keep_blank_values=True))


def is_signed(letter: Received) -> bool:
    joined = "".join(form_of(letter)[name] for name in SIGNED)
    expected = hmac.new(b"sandbox-secret-key", joined.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, letter.headers.get("x-token", ""))


# ---------------------------------------------------------------- checkout v2


def test_a_payment_waits_then_is_accepted(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    made = cinetpay.pay()
    assert (made["code"], made["message"]) == ("201", "CREATED")
    waiting = cinetpay.check()
    assert (waiting["code"], waiting["data"]["status"]) == ("662", "WAITING_FOR_CUSTOMER")
    played = sandbox.play(redirect(made["data"]["payment_url"]))
    assert played["redirect_to"].startswith("http://127.0.0.1/return?transaction_id=pay1&token=")
    paid = cinetpay.check()
    assert (paid["code"], paid["message"], paid["data"]["status"]) == ("00", "SUCCES", "ACCEPTED")
    assert (paid["data"]["amount"], paid["data"]["currency"], paid["data"]["metadata"]) == ("5000", "XOF", "meta")
    (line,) = sandbox.books("cinetpay")["payments"]
    assert (line["reference"], line["amount_minor"], line["currency"], line["state"]) == ("pay1", 5000, "XOF", "paid")


@pytest.mark.parametrize(
    ("act", "code", "state"),
    [
        ("decline", "600", "declined"),
        ("poor", "602", "declined"),
        ("abandon", "627", "cancelled"),
        ("slow", "623", "pending"),
    ],
)
def test_every_other_end_has_its_code(sandbox: Sandbox, cinetpay: CinetPay, act: str, code: str, state: str) -> None:
    press(cinetpay.pay()["data"]["payment_url"], act)
    assert cinetpay.check()["code"] == code
    assert sandbox.books("cinetpay")["payments"][0]["state"] == state


def test_a_slow_payment_is_accepted_a_minute_later(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    press(cinetpay.pay()["data"]["payment_url"], "slow")
    sandbox.advance(60)
    assert cinetpay.check()["code"] == "00"


def test_a_page_may_ask_for_a_code_first(cinetpay: CinetPay) -> None:
    page = cinetpay.pay()["data"]["payment_url"]
    assert "Code from your phone" in press(page, "code").text
    assert cinetpay.check()["code"] == "663"
    press(page, "pay")
    assert cinetpay.check()["code"] == "00"


def test_a_link_runs_out_after_half_an_hour(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    page = cinetpay.pay()["data"]["payment_url"]
    sandbox.advance(1_800)
    press(page, "pay")
    assert cinetpay.check()["code"] == "625"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": 999}, "608"),
        ({"amount": 95}, "641"),
        ({"amount": 2_500_005}, "642"),
        ({"amount": "12.5"}, "608"),
        ({"currency": "EUR"}, "608"),
        ({"description": ""}, "608"),
        ({"channels": "PIGEON"}, "608"),
        ({"channels": "CREDIT_CARD"}, "624"),
        ({"apikey": "wrong"}, "609"),
    ],
)
def test_what_cinetpay_would_refuse_is_refused(
    sandbox: Sandbox, cinetpay: CinetPay, wrong: dict[str, Any], code: str
) -> None:
    assert cinetpay.pay(**wrong)["code"] == code
    assert sandbox.books("cinetpay")["payments"] == []


def test_a_reference_is_used_once(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    cinetpay.pay()
    assert cinetpay.pay()["code"] == "624"
    assert len(sandbox.books("cinetpay")["payments"]) == 1


def test_congolese_francs_travel_in_whole_units(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    cinetpay.pay(amount=5000, currency="CDF")
    assert cinetpay.check()["data"]["amount"] == "5000"
    assert sandbox.books("cinetpay")["payments"][0]["amount_minor"] == 500_000


def test_a_ping_comes_first_and_the_letter_is_signed(sandbox: Sandbox, cinetpay: CinetPay, shop: Shop) -> None:
    sandbox.play(redirect(cinetpay.pay()["data"]["payment_url"]))
    (letter,) = shop.posted(sandbox, "cinetpay")
    assert [each.method for each in shop.received] == ["GET", "POST"]
    assert is_signed(letter)
    form = form_of(letter)
    assert (form["cpm_trans_id"], form["cpm_amount"], form["cpm_error_message"]) == ("pay1", "5000", "SUCCES")


def test_a_forged_letter_claims_success_with_a_wrong_token(sandbox: Sandbox, cinetpay: CinetPay, shop: Shop) -> None:
    sandbox.turn("cinetpay", notify={"forge": 1.0})
    cinetpay.pay()
    (letter,) = shop.posted(sandbox, "cinetpay")
    assert form_of(letter)["cpm_error_message"] == "SUCCES"
    assert not is_signed(letter)


def test_a_wrong_amount_is_truly_signed(sandbox: Sandbox, cinetpay: CinetPay, shop: Shop) -> None:
    sandbox.turn("cinetpay", notify={"wrong_amount": 1.0})
    sandbox.play(redirect(cinetpay.pay()["data"]["payment_url"]))
    (letter,) = shop.posted(sandbox, "cinetpay")
    assert form_of(letter)["cpm_amount"] == "50000"
    assert is_signed(letter)


# ---------------------------------------------------------------- transfers


def contact(phone: str) -> str:
    return json.dumps([{"prefix": "225", "phone": phone, "name": "Kone", "surname": "Awa", "email": "a@example.org"}])


def order(phone: str, amount: int = 5000, reference: str = "po1", notify_url: str = "http://127.0.0.1:9/n") -> str:
    sent = {"prefix": "225", "phone": phone, "amount": amount, "client_transaction_id": reference}
    return json.dumps([{**sent, "notify_url": notify_url}])


@pytest.mark.parametrize(
    ("phone", "statuses", "state"),
    [
        ("0700000000", ("CONFIRM", "VAL"), "paid"),
        ("0700000090", ("CONFIRM", "REJ"), "failed"),
        ("0700000091", ("CONFIRM", "REC"), "pending"),
        ("0700000092", ("PENDING", "NEW"), "pending"),
    ],
)
def test_a_transfer_ends_as_its_number_says(
    sandbox: Sandbox, cinetpay: CinetPay, phone: str, statuses: tuple[str, str], state: str
) -> None:
    token = cinetpay.log_in()
    cinetpay.transfers("POST", "contact", token, contact(phone))
    sent = cinetpay.transfers("POST", "money/send/contact", token, order(phone))
    assert (sent["code"], sent["data"][0]["treatment_status"]) == (0, "NEW")
    sandbox.advance(1)
    (found,) = cinetpay.transfers("GET", "check/money", token, client_transaction_id="po1")["data"]
    assert (found["sending_status"], found["treatment_status"]) == statuses
    (line,) = sandbox.books("cinetpay")["payouts"]
    assert (line["reference"], line["amount_minor"], line["currency"], line["state"]) == ("po1", 5000, "XOF", state)


def test_a_contact_is_known_the_second_time(cinetpay: CinetPay) -> None:
    token = cinetpay.log_in()
    codes = [cinetpay.transfers("POST", "contact", token, contact("0700000000"))["data"][0][0]["code"] for _ in "12"]
    assert codes == [0, 726]


@pytest.mark.parametrize(
    ("phone", "amount", "code"),
    [("0700000000", 5001, 801), ("0700000000", 50, 719), ("0700000093", 5000, 804), ("0711111111", 5000, 724)],
)
def test_a_refused_transfer_takes_nothing(
    sandbox: Sandbox, cinetpay: CinetPay, phone: str, amount: int, code: int
) -> None:
    token = cinetpay.log_in()
    for known in ("0700000000", "0700000093"):
        cinetpay.transfers("POST", "contact", token, contact(known))
    assert cinetpay.transfers("POST", "money/send/contact", token, order(phone, amount))["code"] == code
    assert sandbox.books("cinetpay")["payouts"] == []
    assert cinetpay.transfers("GET", "check/balance", token)["data"]["available"] == 5_000_000


def test_a_transfer_names_the_operator_of_its_number(cinetpay: CinetPay) -> None:
    token = cinetpay.log_in()
    cinetpay.transfers("POST", "contact", token, contact("0500000000"))
    cinetpay.transfers("POST", "money/send/contact", token, order("0500000000"))
    (found,) = cinetpay.transfers("GET", "check/money", token, client_transaction_id="po1")["data"]
    assert found["operator"] == "MOMO"


@pytest.mark.parametrize(
    ("number", "code"),
    [("+237670000001", "MTNCM"), ("237655000001", "OMCM"), ("2250500000000", "MOMO"), ("2240500000000", "OM")],
)
def test_operators_are_known_by_their_numbers(number: str, code: str) -> None:
    assert operators.method_of(number, default="OM") == code


def test_a_transfer_is_sent_once(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    token = cinetpay.log_in()
    cinetpay.transfers("POST", "contact", token, contact("0700000000"))
    codes = [cinetpay.transfers("POST", "money/send/contact", token, order("0700000000"))["code"] for _ in "12"]
    assert codes == [0, 805]
    assert cinetpay.transfers("GET", "check/balance", token)["data"]["available"] == 4_995_000


def test_an_empty_account_pays_nobody(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    sandbox.configure("cinetpay", balance="1000")
    token = cinetpay.log_in()
    cinetpay.transfers("POST", "contact", token, contact("0700000000"))
    assert cinetpay.transfers("POST", "money/send/contact", token, order("0700000000"))["code"] == 602


def test_a_transfer_token_lives_five_minutes(sandbox: Sandbox, cinetpay: CinetPay) -> None:
    token = cinetpay.log_in()
    sandbox.advance(300)
    assert cinetpay.transfers("GET", "check/balance", token)["code"] == 705
    assert cinetpay.transfers("GET", "check/balance", "unknown")["code"] == 706


def test_an_unknown_transfer_is_not_found(cinetpay: CinetPay) -> None:
    assert cinetpay.transfers("GET", "check/money", cinetpay.log_in(), client_transaction_id="x")["code"] == 723


def test_a_transfer_is_told_without_signature(sandbox: Sandbox, cinetpay: CinetPay, shop: Shop) -> None:
    token = cinetpay.log_in()
    cinetpay.transfers("POST", "contact", token, contact("0700000000"))
    cinetpay.transfers("POST", "money/send/contact", token, order("0700000000", notify_url=f"{shop.url}/n"))
    sandbox.advance(1)
    (letter,) = shop.posted(sandbox, "cinetpay")
    assert (form_of(letter)["client_transaction_id"], form_of(letter)["treatment_status"]) == ("po1", "VAL")
    assert "x-token" not in letter.headers


# ---------------------------------------------------------------- the newer API


class NewApi:
    def __init__(self, sandbox: Sandbox, notify_url: str) -> None:
        self.base = sandbox.base("cinetpay")
        self.notify_url = notify_url
        login = {"api_key": "sk_test_sandbox", "api_password": "sandbox-api-password"}
        token = requests.post(f"{self.base}/v1/oauth/login", json=login, timeout=5).json()["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        reply = requests.post(f"{self.base}/v1/{path}", json=content, headers=self.headers, timeout=5)
        answer: dict[str, Any] = reply.json()
        return answer

    def get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.base}/v1/{path}", headers=self.headers, timeout=5).json()
        return answer

    def pay(self, **changes: Any) -> dict[str, Any]:
        content = {
            "currency": "XOF",
            "merchant_transaction_id": "pay1",
            "amount": 5000,
            "lang": "fr",
            "designation": "Order 77",
            "client_email": "a@example.org",
            "client_first_name": "Awa",
            "client_last_name": "Kone",
            "success_url": "http://127.0.0.1/s",
            "failed_url": "http://127.0.0.1/f",
            "notify_url": self.notify_url,
            "channel": "PUSH",
        }
        return self.post("payment", {**content, **changes})


@pytest.fixture
def new_api(sandbox: Sandbox, shop: Shop) -> NewApi:
    return NewApi(sandbox, f"{shop.url}/webhooks/cinetpay")


@pytest.mark.parametrize(
    ("act", "status", "target"), [("pay", "SUCCESS", "/s?"), ("decline", "FAILED", "/f?"), ("abandon", "FAILED", "/f?")]
)
def test_a_payment_of_the_newer_api(sandbox: Sandbox, new_api: NewApi, act: str, status: str, target: str) -> None:
    made = new_api.pay()
    assert new_api.get("payment/pay1")["status"] == "INITIATED"
    assert target in sandbox.play(redirect(made["payment_url"]), act)["redirect_to"]
    found = new_api.get(f"payment/{made['payment_token']}")
    assert (found["status"], found["merchant_transaction_id"]) == (status, "pay1")
    assert "amount" not in found


def test_the_newer_api_tells_a_token_and_no_status(sandbox: Sandbox, new_api: NewApi, shop: Shop) -> None:
    made = new_api.pay()
    sandbox.play(redirect(made["payment_url"]))
    (letter,) = shop.posted(sandbox, "cinetpay")
    told = json.loads(letter.body)
    assert (told["notify_token"], told["merchant_transaction_id"]) == (made["notify_token"], "pay1")
    assert "status" not in told


def test_the_newer_api_refuses_a_used_reference(new_api: NewApi) -> None:
    new_api.pay()
    assert new_api.pay()["status"] == "TRANSACTION_EXIST"


@pytest.mark.parametrize(
    "wrong", [{"amount": 99}, {"amount": "5000"}, {"channel": "X"}, {"merchant_transaction_id": "r" * 31}]
)
def test_the_newer_api_refuses_wrong_fields(sandbox: Sandbox, new_api: NewApi, wrong: dict[str, Any]) -> None:
    assert new_api.pay(**wrong)["code"] == 1004
    assert sandbox.books("cinetpay")["payments"] == []


def test_a_transfer_of_the_newer_api(sandbox: Sandbox, new_api: NewApi) -> None:
    sent = {"currency": "XOF", "merchant_transaction_id": "po1", "phone_number": "+2250700000000", "amount": 5000}
    made = new_api.post("transfer", {**sent, "payment_method": "OM_CI", "notify_url": "http://127.0.0.1:9/n"})
    assert (made["status"], made["amount"]) == ("INITIATED", 5000)
    sandbox.advance(1)
    assert new_api.get("transfer/po1")["status"] == "SUCCESS"
    assert new_api.get("balances")["available_balance"] == 4_995_000
