"""MTN MoMo in the box: its test numbers, the phone, and what never repeats."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from sandbox.testing import Refused, Sandbox
from sandbox.tests.clients import Mtn, press
from sandbox.tests.conftest import Shop

PHONE = "237670000001"  # nobody's test number: it rings until somebody answers


@pytest.fixture
def mtn(sandbox: Sandbox) -> Mtn:
    return Mtn(sandbox)


def prompt(reference: str) -> dict[str, Any]:
    return {"type": "phone_prompt", "reference": reference, "phone": PHONE}


# The table of MTN's documentation: last two digits, what a request to pay and what a transfer come to.
TABLE = [
    ("50", "INTERNAL_PROCESSING_ERROR", "INTERNAL_PROCESSING_ERROR"),
    ("51", "APPROVAL_REJECTED", "APPROVAL_REJECTED"),
    ("52", "EXPIRED", "EXPIRED"),
    ("55", "PAYER_NOT_FOUND", "NOT_ENOUGH_FUNDS"),
    ("56", "PAYEE_NOT_ALLOWED_TO_RECEIVE", "PAYER_LIMIT_REACHED"),
    ("57", "NOT_ALLOWED", "PAYEE_NOT_FOUND"),
    ("58", "NOT_ALLOWED_TARGET_ENVIRONMENT", "NOT_ALLOWED"),
    ("59", "INVALID_CALLBACK_URL_HOST", "NOT_ALLOWED_TARGET_ENVIRONMENT"),
    ("60", "INVALID_CURRENCY", "INVALID_CALLBACK_URL_HOST"),
    ("61", "INTERNAL_PROCESSING_ERROR", "INVALID_CURRENCY"),
    ("62", "SERVICE_UNAVAILABLE", "INTERNAL_PROCESSING_ERROR"),
    ("63", "COULD_NOT_PERFORM_TRANSACTION", "SERVICE_UNAVAILABLE"),
]


def test_the_test_numbers_of_requests_to_pay(mtn: Mtn) -> None:
    for digits, reason, _ in TABLE:
        reference, status = mtn.ask(f"467331234{digits}")
        found = mtn.status(reference)
        assert (digits, status, found["status"], found["reason"]) == (digits, 202, "FAILED", reason)


def test_the_test_numbers_of_transfers(sandbox: Sandbox, mtn: Mtn) -> None:
    payee = {"partyIdType": "MSISDN"}
    sent = [mtn.send("transfer", payee={**payee, "partyId": f"467331234{digits}"}) for digits, _, _ in TABLE]
    sandbox.advance(1)
    found = [mtn.sent("transfer", reference) for reference in sent]
    assert [(each["status"], each["reason"]["code"]) for each in found] == [
        ("FAILED", reason) for _, _, reason in TABLE
    ]


def test_the_ongoing_number_succeeds_after_half_a_minute(sandbox: Sandbox, mtn: Mtn) -> None:
    reference, _ = mtn.ask("46733123453")
    assert mtn.status(reference)["status"] == "PENDING"
    sandbox.advance(30)
    assert mtn.status(reference)["status"] == "SUCCESSFUL"


def test_any_other_test_number_pays_at_once(sandbox: Sandbox, mtn: Mtn) -> None:
    reference, _ = mtn.ask("56733123453", amount="10.50")
    found = mtn.status(reference)
    assert (found["status"], found["amount"], found["externalId"]) == ("SUCCESSFUL", "10.50", "pay_1")
    assert found["financialTransactionId"].isdecimal()
    (line,) = sandbox.books("mtn_momo")["payments"]
    assert (line["reference"], line["amount_minor"], line["currency"], line["state"]) == ("pay_1", 1050, "EUR", "paid")


@pytest.mark.parametrize(
    ("act", "status", "state"),
    [
        ("pay", "SUCCESSFUL", "paid"),
        ("challenge", "SUCCESSFUL", "paid"),
        ("decline", "FAILED", "declined"),
        ("abandon", "PENDING", "open"),
    ],
)
def test_a_phone_rings_until_it_is_answered(sandbox: Sandbox, mtn: Mtn, act: str, status: str, state: str) -> None:
    reference, _ = mtn.ask(PHONE)
    assert mtn.status(reference)["status"] == "PENDING"
    sandbox.play(prompt(reference), act)
    assert mtn.status(reference)["status"] == status
    assert sandbox.books("mtn_momo")["payments"][0]["state"] == state


def test_a_prompt_is_found_by_our_reference_too(sandbox: Sandbox, mtn: Mtn) -> None:
    mtn.ask(PHONE)
    assert sandbox.play(prompt("pay_1"))["state"] == "SUCCESSFUL"


def test_a_prompt_that_nobody_answers_expires_after_five_minutes(sandbox: Sandbox, mtn: Mtn) -> None:
    reference, _ = mtn.ask(PHONE)
    sandbox.advance(300)
    assert mtn.status(reference)["reason"] == "EXPIRED"
    with pytest.raises(Refused):
        sandbox.play(prompt(reference))


def test_a_reference_acts_once(sandbox: Sandbox, mtn: Mtn) -> None:
    reference, _ = mtn.ask(PHONE)
    assert mtn.ask(PHONE, reference=reference)[1] == 409
    assert len(sandbox.books("mtn_momo")["payments"]) == 1


def test_a_reference_acts_once_however_many_send_it_at_once(sandbox: Sandbox) -> None:
    reference, together, callers = str(uuid.uuid4()), threading.Barrier(8), [Mtn(sandbox) for _ in range(8)]

    def send(mtn: Mtn) -> int:
        together.wait()
        return mtn.ask(PHONE, reference=reference)[1]

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(send, callers))
    assert answers == [202] + [409] * 7
    assert len(sandbox.books("mtn_momo")["payments"]) == 1


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reference": "not-a-uuid"}, 400),
        ({"amount": "-5"}, 400),
        ({"amount": "1.005"}, 400),
        ({"currency": "XAF"}, 500),
    ],
)
def test_a_request_that_mtn_would_refuse_is_refused(
    sandbox: Sandbox, mtn: Mtn, changes: dict[str, str], status: int
) -> None:
    assert mtn.ask(PHONE, **changes)[1] == status
    assert sandbox.books("mtn_momo")["payments"] == []


def test_a_market_takes_its_own_money_in_whole_francs(sandbox: Sandbox) -> None:
    mtn = Mtn(sandbox, environment="mtncameroon")
    assert mtn.ask(PHONE, amount="500.00", currency="XAF")[1] == 400
    assert mtn.ask(PHONE, amount="500", currency="XAF")[1] == 202
    assert sandbox.books("mtn_momo")["payments"][0]["amount_minor"] == 500


def test_a_key_of_the_wrong_product_opens_nothing(sandbox: Sandbox, mtn: Mtn) -> None:
    mtn.keys = {**mtn.keys, "collection": "sandbox-disbursement-key"}
    assert mtn.ask(PHONE)[1] == 401
    assert sandbox.books("mtn_momo")["payments"] == []


def test_a_token_of_the_other_product_opens_nothing(mtn: Mtn) -> None:
    mtn.tokens["collection"] = mtn.tokens["disbursement"]
    assert mtn.ask(PHONE)[1] == 401


def test_a_token_runs_out_after_an_hour(sandbox: Sandbox, mtn: Mtn) -> None:
    sandbox.advance(3_600)
    assert mtn.ask(PHONE)[1] == 401


def test_the_filter_in_front_answers_html(mtn: Mtn) -> None:
    form = requests.post(f"{mtn.base}/collection/token/", data={"grant_type": "x"}, auth=("a", "b"), timeout=5)
    assert "Request Rejected" in form.text


def test_a_user_of_the_sandbox_can_be_made(mtn: Mtn) -> None:
    user = str(uuid.uuid4())
    headers = {"Ocp-Apim-Subscription-Key": "sandbox-collection-key", "X-Reference-Id": user}
    host = {"providerCallbackHost": "x.example"}
    assert requests.post(f"{mtn.base}/v1_0/apiuser", json=host, headers=headers, timeout=5).status_code == 201
    assert requests.post(f"{mtn.base}/v1_0/apiuser", json=host, headers=headers, timeout=5).status_code == 409
    key = requests.post(f"{mtn.base}/v1_0/apiuser/{user}/apikey", headers=headers, timeout=5).json()["apiKey"]
    token = requests.post(f"{mtn.base}/collection/token/", auth=(user, key), headers=headers, timeout=5).json()
    assert token["expires_in"] == 3600


def test_a_callback_repeats_the_status_by_put(sandbox: Sandbox, shop: Shop) -> None:
    mtn = Mtn(sandbox, f"{shop.url}/hooks/mtn/opaque")
    reference, _ = mtn.ask(PHONE)
    sandbox.play(prompt(reference))
    (letter,) = shop.posted(sandbox, "mtn_momo")
    assert (letter.method, letter.path) == ("PUT", "/hooks/mtn/opaque")
    assert json.loads(letter.body) == mtn.status(reference)


def test_a_forged_callback_looks_like_any_other(sandbox: Sandbox, shop: Shop) -> None:
    mtn = Mtn(sandbox, f"{shop.url}/hooks/mtn/opaque")
    sandbox.turn("mtn_momo", notify={"forge": 1.0})
    reference, _ = mtn.ask(PHONE)
    (letter,) = shop.posted(sandbox, "mtn_momo")
    assert json.loads(letter.body)["status"] == "SUCCESSFUL"
    assert mtn.status(reference)["status"] == "PENDING"


def test_a_callback_to_a_foreign_host_is_refused(sandbox: Sandbox, shop: Shop) -> None:
    sandbox.configure("mtn_momo", callback_host="x.example")
    assert Mtn(sandbox, f"{shop.url}/hook").ask(PHONE)[1] == 500
    assert sandbox.books("mtn_momo")["payments"] == []


# ---------------------------------------------------------------- money out


def paid(mtn: Mtn) -> str:
    return mtn.ask("56733123453", amount="50")[0]


@pytest.mark.parametrize(("amount", "status", "state"), [("50", "SUCCESSFUL", "paid"), ("51", "FAILED", "failed")])
def test_a_refund_gives_back_what_was_paid_and_no_more(
    sandbox: Sandbox, mtn: Mtn, amount: str, status: str, state: str
) -> None:
    reference = mtn.send("refund", amount=amount, referenceIdToRefund=paid(mtn))
    sandbox.advance(1)
    assert mtn.sent("refund", reference)["status"] == status
    (line,) = sandbox.books("mtn_momo")["refunds"]
    assert (line["amount_minor"], line["state"]) == (int(amount) * 100, state)


def test_partial_refunds_never_exceed_the_payment(sandbox: Sandbox, mtn: Mtn) -> None:
    payment = paid(mtn)
    made = [mtn.send("refund", amount="30", referenceIdToRefund=payment) for _ in "12"]
    sandbox.advance(1)
    assert [mtn.sent("refund", reference)["status"] for reference in made] == ["SUCCESSFUL", "FAILED"]


def test_the_test_references_of_refunds(sandbox: Sandbox, mtn: Mtn) -> None:
    expected = {"1": "RESOURCE_NOT_FOUND", "2": "INTERNAL_PROCESSING_ERROR", "3": "APPROVAL_REJECTED", "4": "EXPIRED"}
    made = {number: mtn.send("refund", referenceIdToRefund=number) for number in expected}
    sandbox.advance(1)
    assert {number: mtn.sent("refund", each)["reason"]["code"] for number, each in made.items()} == expected


def test_a_transfer_lowers_the_float_and_a_failed_one_does_not(sandbox: Sandbox, mtn: Mtn) -> None:
    for phone in (PHONE, "46733123451"):
        mtn.send("transfer", payee={"partyIdType": "MSISDN", "partyId": phone})
    sandbox.advance(1)
    balance = mtn.call("GET", "disbursement", "v1_0/account/balance").json()
    assert balance == {"availableBalance": "9999950.00", "currency": "EUR"}
    assert sorted(line["state"] for line in sandbox.books("mtn_momo")["payouts"]) == ["failed", "paid"]


def test_an_empty_float_pays_nobody(sandbox: Sandbox, mtn: Mtn) -> None:
    sandbox.configure("mtn_momo", balance="10")
    reference = mtn.send("transfer", payee={"partyIdType": "MSISDN", "partyId": PHONE})
    sandbox.advance(1)
    assert mtn.sent("transfer", reference)["reason"]["code"] == "NOT_ENOUGH_FUNDS"


# ---------------------------------------------------------------- the phone


def test_the_phone_shows_the_prompt_and_takes_the_answer(sandbox: Sandbox, mtn: Mtn) -> None:
    reference, _ = mtn.ask(PHONE)
    phones = requests.get(f"{mtn.base}/phone", timeout=5).text
    assert f"{PHONE}: 50.00\u00a0EUR" in phones
    page = sandbox.books("mtn_momo")["payments"][0]["page_url"]
    assert "50.00\u00a0EUR" in requests.get(page, timeout=5).text
    assert "You paid" in press(page, "pay", pin="1234").text
    assert mtn.status(reference)["status"] == "SUCCESSFUL"
