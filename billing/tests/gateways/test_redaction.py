"""What is kept of a gateway's reply tells how it stands, not who paid and not with which secret."""

from typing import Any

import pytest

from billing.gateways import redaction


def test_names_stay_and_secrets_and_persons_go() -> None:
    reply = {
        "status": "SUCCESSFUL",
        "amount": "5000",
        "pay_token": "aa11bb22",
        "access_token": "A21AA",
        "payer": {"partyIdType": "MSISDN", "partyId": "237670000001", "email_address": "a@example.org"},
        "name": {"given_name": "Awa", "surname": "Kone"},
        "links": [{"rel": "payer-action", "href": "https://paypal.example/checkoutnow?token=7AB12"}],
        "payer_paid": True,
        "token": "",
    }
    assert redaction.redacted(reply) == {
        "status": "SUCCESSFUL",
        "amount": "5000",
        "pay_token": "***",
        "access_token": "***",
        "payer": {"partyIdType": "MSISDN", "partyId": "***", "email_address": "***"},
        "name": {"given_name": "***", "surname": "***"},
        "links": [{"rel": "payer-action", "href": "https://paypal.example/checkoutnow?token=***"}],
        "payer_paid": True,
        "token": "",
    }


@pytest.mark.parametrize("name", ["shipping_preference", "payment_method", "tokenised", "mailing", "custom_id"])
def test_names_that_only_look_alike_are_kept(name: str) -> None:
    assert redaction.redacted({name: "value"}) == {name: "value"}


def test_sentences_lose_numbers_and_addresses() -> None:
    said = "Payer +237670000001 (awa.kone@example.org) has not enough, transaction MP260102.0304.A1."
    assert redaction.redacted_text(said) == "Payer *** (***) has not enough, transaction MP260102.0304.A1."


def test_endless_reply_is_cut() -> None:
    kept = redaction.redacted({"many": list(range(100)), "long": "x" * 1_000})
    assert kept["many"] == list(range(50))
    assert kept["long"] == "x" * 500


def test_reply_that_nests_too_deep_is_masked_below() -> None:
    reply: Any = "awa"
    for _ in range(redaction.DEEPEST + 1):
        reply = {"in": reply}
    kept: Any = redaction.redacted(reply)
    for _ in range(redaction.DEEPEST):
        kept = kept["in"]
    assert kept == {"in": "***"}
