import datetime as dt
import uuid
from decimal import Decimal

import pytest

from config.masking import masked, masked_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"got {JWT} from the caller", "got *** from the caller"),
        (f"Authorization: Bearer {JWT}", "Authorization: ***"),
        ("sent Bearer abcdefgh12345678.", "sent Bearer ***"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        ("service tl_9f8e7d6c5b4a3210 refused", "service *** refused"),
        ("key sk_live_51Habcdefgh and rk_test_51Habcdefgh", "key *** and ***"),
        ("whsec_abcdefgh12345678", "***"),
        ("pi_3Nabcdef_secret_abcdefghijk", "***"),
        ("postgres://tirelire:s3cret@db:5432/x", "postgres://tirelire:***@db:5432/x"),
        ("redis://:s3cret@cache/0", "redis://:***@cache/0"),
        ('{"password": "correct horse", "a": 1}', '{"password": ***, "a": 1}'),
        ("{'client_secret': 'abc'}", "{'client_secret': ***}"),
        ("?access_token=abc123&page=2", "?access_token=***&page=2"),
        ("X-Internal-Key: hunter2", "X-Internal-Key: ***"),
        ("api_key=k1, otp: 123456", "api_key=***, otp: ***"),
        ("call +237 690 12 34 56 back", "call ***56 back"),
        ("call +237690123456.", "call ***56."),
        ("(+33) 6 12 34 56 78", "(***78"),
        ("00225 0707070707", "***07"),
        ("payer 237690123456 said no", "payer ***56 said no"),
        ("2250707070707", "***07"),
        ("256 772 123 456", "***56"),
        ("card 4242 4242 4242 4242 declined", "card ***4242 declined"),
        ("5555555555554444", "***4444"),
        ("378282246310005", "***0005"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nrest", "***\nrest"),
    ],
)
def test_secret_does_not_survive(text: str, kept: str) -> None:
    assert masked_text(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "order 202611200001 shipped",
        "order 100000000000001",
        "4111111111111112",  # fails Luhn's sum: no card
        "0197a3b2-1c4d-7e8f-9a0b-23769012345a",
        "11111111-4111-4111-8111-237690123456",
        "237690123456-77",  # part of a longer reference
        "pi_3NabcdefGHIJ and cs_test_a1b2c3d4",
        "2500000 XAF", "12345678901.50", "237690123.45",
        "2026-11-20T21:02:37.123456Z", "2026-11-20 21:02:37", "1795209064", "1795209064123", "1795209064123456789",
        "212.145.167.189", "::ffff:10.0.0.1", "v2.2376901234567",
        "KeyError: 'token'", "the password is wrong", "tokens: 12 left of credits", "secretary: Ann", "monkey=1",
        "idempotency_key=order-7-paid", "state=pinned", "POST /api/v1/credits/spend 201",
        "deadbeef" * 4,
    ],
)  # fmt: skip
def test_what_is_no_secret_survives(text: str) -> None:
    assert masked_text(text) == text


def test_names_mask_whatever_they_hold_at_any_depth() -> None:
    event = {
        "payment": {"id": "0197", "payer": [{"msisdn": 237690123456, "name": "Awa"}]},
        "headers": {"Authorization": "x", "X-Request-ID": "r1", "Cookie": "sessionid=1", "stripe-signature": "t=1"},
        "db_password": "p", "new_password": "p", "JWT_SECRET": "s", "STRIPE_SECRET_KEY": "s", "phone_number": 690123456,
        "has_password": True, "token": None, "tokens_left": 12, "spinning": 1,
    }  # fmt: skip
    assert masked(event) == {
        "payment": {"id": "0197", "payer": [{"msisdn": "***", "name": "Awa"}]},
        "headers": {"Authorization": "***", "X-Request-ID": "r1", "Cookie": "***", "stripe-signature": "***"},
        "db_password": "***", "new_password": "***", "JWT_SECRET": "***", "STRIPE_SECRET_KEY": "***",
        "phone_number": "***",
        "has_password": True, "token": None, "tokens_left": 12, "spinning": 1,
    }  # fmt: skip


def test_numbers_ids_and_times_are_left_as_they_are() -> None:
    facts = [237690123456, 4242424242424242, 1.5, Decimal("4242424242424242"), uuid.uuid4(), dt.date(2026, 11, 20)]
    assert masked(facts) == facts


def test_other_objects_become_text_that_is_masked() -> None:
    assert masked({"error": ValueError("token=abc"), "body": b"pin=1234", "set": {"sk_live_12345678"}}) == {
        "error": "token=***",
        "body": "pin=***",
        "set": ["***"],
    }


def test_what_refers_to_itself_ends() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    assert "***" in repr(masked(loop))
