"""PayPal's letters, checked without asking anybody: the certificate's address, its owner, the signature, the age."""

import base64
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from json import dumps
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from billing.gateways.base import Letter
from billing.gateways.errors import InvalidLetter, Unavailable
from billing.gateways.http import Limits
from billing.gateways.paypal import Configuration, PayPal, letters
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import DisputeState
from billing.tests.gateways import certificates, contenders, wire
from ledger.money import Money

BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C1"}}'
OWNER = "messageverificationcerts.paypal.com"
THREE_DAYS = 345_600


def letter(
    url: str, signer: certificates.Identity, *, body: bytes = BODY, sent: str = "", algorithm: str = ""
) -> Letter:
    moment = sent or contenders.moment_ago(60)
    signed = f"tid-1|{moment}|WHID-1|{zlib.crc32(body)}".encode()
    signature = signer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    headers = {
        "paypal-auth-algo": algorithm or letters.ALGORITHM,
        "paypal-cert-url": url,
        "paypal-transmission-id": "tid-1",
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
        "paypal-transmission-time": moment,
    }
    return Letter(method="POST", headers=headers, body=body)


def check(found: Letter, base_url: str, webhook_id: str = "WHID-1") -> None:
    letters.check_signature(found, webhook_id, letters.Certificates(base_url, Limits()))


@pytest.fixture(scope="module")
def paypal() -> certificates.Identity:
    return certificates.made(OWNER)


def test_checksum_is_the_documented_one() -> None:
    assert zlib.crc32(BODY) == 2_776_143_918


def test_letter_signed_by_the_published_certificate_is_paypals(paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        url = server.url + "/v1/notifications/certs/CERT-1"
        known = letters.Certificates(server.url, Limits())
        for _ in range(3):
            letters.check_signature(letter(url, paypal), "WHID-1", known)
        assert len(server.received) == 1, "the certificate is fetched once"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: replace(found, body=found.body + b" "),
        lambda found: replace(found, headers={**found.headers, "paypal-transmission-id": "tid-2"}),
        lambda found: replace(found, headers={**found.headers, "paypal-transmission-sig": "####"}),
        lambda found: replace(found, headers={**found.headers, "paypal-transmission-sig": ""}),
        lambda found: replace(found, headers={**found.headers, "paypal-auth-algo": "none"}),
        lambda found: replace(found, headers={**found.headers, "paypal-transmission-time": contenders.moment_ago(0)}),
    ],
)
def test_letter_that_was_changed_is_refused(spoil, paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        found = letter(server.url + "/v1/notifications/certs/CERT-1", paypal)
        check(found, server.url)
        with pytest.raises(InvalidLetter):
            check(spoil(found), server.url)


def test_letter_of_another_webhook_of_the_same_account_is_refused(paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        found = letter(server.url + "/v1/notifications/certs/CERT-1", paypal)
        with pytest.raises(InvalidLetter):
            check(found, server.url, webhook_id="WHID-2")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-1",
        "https://evil.example/#https://api.paypal.com/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../oauth2/token",
        "https://api.paypal.com/v1/other/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?redirect=https://evil.example",
        "http://127.0.0.1:1/v1/notifications/certs/CERT-1",
        "file:///etc/passwd",
    ],
)
def test_certificate_is_only_taken_from_paypal(url: str, paypal: certificates.Identity) -> None:
    """In production the adapter's own address is PayPal's, and loopback is nobody's."""
    with pytest.raises(InvalidLetter, match="address is not PayPal's"):
        check(letter(url, paypal), "https://api-m.paypal.com")


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (certificates.made("shop.example"), "somebody else's"),
        (certificates.made("notpaypal.com"), "somebody else's"),
        (certificates.made(OWNER, valid_from=datetime.now(UTC) - timedelta(days=90)), "out of date"),
        (certificates.made(OWNER, valid_from=datetime.now(UTC) + timedelta(days=1)), "out of date"),
    ],
)
def test_certificate_of_somebody_else_or_of_another_time_is_refused(
    certificate: certificates.Identity, said: str
) -> None:
    published = wire.answer(body=certificate.certificate_pem)
    with wire.listening(published) as server, pytest.raises(InvalidLetter, match=said):
        check(letter(server.url + "/v1/notifications/certs/CERT-1", certificate), server.url)


@pytest.mark.parametrize("behaviour", [wire.answer(body=b"no certificate"), wire.answer("404 Not Found")])
def test_what_stands_there_instead_of_a_certificate_is_refused(
    behaviour: wire.Behaviour, paypal: certificates.Identity
) -> None:
    with wire.listening(behaviour) as server, pytest.raises(InvalidLetter):
        check(letter(server.url + "/v1/notifications/certs/CERT-1", paypal), server.url)


class Minute:
    """The clock of a minute in which certificates are counted."""

    now = 0.0


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> type[Minute]:
    monkeypatch.setattr(Minute, "now", 0.0)
    monkeypatch.setattr(letters, "time", SimpleNamespace(monotonic=lambda: Minute.now))
    return Minute


def test_address_without_a_certificate_is_asked_once_a_minute(
    paypal: certificates.Identity, minute: type[Minute]
) -> None:
    with wire.listening(wire.answer("404 Not Found")) as server:
        found = letter(server.url + "/v1/notifications/certs/CERT-1", paypal)
        known = letters.Certificates(server.url, Limits())
        for _ in range(3):
            with pytest.raises(InvalidLetter):
                letters.check_signature(found, "WHID-1", known)
        assert len(server.received) == 1
        minute.now += letters.FETCHES_WINDOW_SECONDS
        with pytest.raises(InvalidLetter):
            letters.check_signature(found, "WHID-1", known)
        assert len(server.received) == 2


def test_so_many_certificates_a_minute_and_then_letters_are_to_come_again(
    paypal: certificates.Identity, minute: type[Minute]
) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:

        def signed(number: int) -> Letter:
            return letter(f"{server.url}/v1/notifications/certs/CERT-{number}", paypal)

        known = letters.Certificates(server.url, Limits())
        for number in range(letters.MOST_FETCHES):
            letters.check_signature(signed(number), "WHID-1", known)
        with pytest.raises(Unavailable):
            letters.check_signature(signed(letters.MOST_FETCHES), "WHID-1", known)
        letters.check_signature(signed(0), "WHID-1", known)  # its certificate is there already
        assert len(server.received) == letters.MOST_FETCHES
        minute.now += letters.FETCHES_WINDOW_SECONDS
        letters.check_signature(signed(letters.MOST_FETCHES), "WHID-1", known)


def test_what_is_proven_by_a_call_says_so_before(paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        configured = Configuration(
            base_url=server.url, client_id="id", client_secret="secret", webhook_id="WHID-1", webhook_check="offline"
        )
        gateway, found = PayPal(configured, Limits()), letter(f"{server.url}/v1/notifications/certs/CERT-1", paypal)
        assert gateway.must_ask(found)
        gateway.read_letter(found)
        assert not gateway.must_ask(found)
        assert PayPal(replace(configured, webhook_check="ask"), Limits()).must_ask(found)


def test_letter_may_come_again_when_the_certificate_cannot_be_fetched(paypal: certificates.Identity) -> None:
    with wire.listening(wire.hang_up) as server, pytest.raises(Unavailable):
        check(letter(server.url + "/v1/notifications/certs/CERT-1", paypal), server.url)


@pytest.mark.parametrize("seconds", [0, 60, THREE_DAYS - 60, -200])
def test_letter_of_the_last_days_is_young_enough(seconds: int, paypal: certificates.Identity) -> None:
    letters.check_age(letter("", paypal, sent=contenders.moment_ago(seconds)), THREE_DAYS)


@pytest.mark.parametrize("seconds", [THREE_DAYS + 60, -900, None])
def test_stale_letter_and_letter_from_the_future_are_refused(
    seconds: int | None, paypal: certificates.Identity
) -> None:
    sent = "yesterday" if seconds is None else contenders.moment_ago(seconds)
    with pytest.raises(InvalidLetter):
        letters.check_age(letter("", paypal, sent=sent), THREE_DAYS)


# ---------------------------------------------------------------- what they say

OURS = "0" * 31 + "1"


@pytest.mark.parametrize(
    ("kind", "resource", "subject", "reference", "ids"),
    [
        ("CHECKOUT.ORDER.APPROVED", {"id": "O1", "purchase_units": [{"custom_id": OURS}]}, Subject.PAYMENT, OURS,
         {"order": "O1"}),
        ("PAYMENT.CAPTURE.COMPLETED", {"id": "C1", "custom_id": OURS, "supplementary_data": {"related_ids": {
            "order_id": "O1"}}}, Subject.PAYMENT, OURS, {"order": "O1", "capture": "C1"}),
        ("PAYMENT.CAPTURE.REFUNDED", {"id": "R1", "invoice_id": OURS, "links": [
            {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/C1"}]}, Subject.REFUND, OURS,
         {"refund": "R1", "capture": "C1"}),
        ("PAYMENT.CAPTURE.REVERSED", {"id": "R1", "invoice_id": OURS, "links": [
            {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/C1"}]}, Subject.REVERSAL, OURS,
         {"refund": "R1", "capture": "C1"}),
        ("PAYMENT.PAYOUTSBATCH.SUCCESS", {"batch_header": {"payout_batch_id": "B1", "sender_batch_header": {
            "sender_batch_id": OURS}}}, Subject.PAYOUT, OURS, {"batch": "B1"}),
        ("PAYMENT.PAYOUTS-ITEM.FAILED", {"payout_batch_id": "B1", "payout_item_id": "I1", "payout_item": {
            "sender_item_id": OURS}}, Subject.PAYOUT, OURS, {"batch": "B1", "item": "I1"}),
        ("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "PP-D-1", "disputed_transactions": [
            {"seller_transaction_id": "C1", "custom": OURS}]}, Subject.DISPUTE, OURS,
         {"dispute": "PP-D-1", "capture": "C1"}),
        ("CUSTOMER.DISPUTE.UPDATED", {"dispute_id": "PP-D-1"}, Subject.DISPUTE, "", {"dispute": "PP-D-1"}),
        ("BILLING.SUBSCRIPTION.CANCELLED", {"id": "I-1", "custom_id": OURS}, Subject.SUBSCRIPTION, OURS,
         {"subscription": "I-1"}),
        ("RISK.SOMETHING.NEW", {"id": "X"}, Subject.OTHER, "", {"other": "X"}),
        ("PAYMENT.CAPTURE.COMPLETED", {"custom_id": 5, "supplementary_data": []}, Subject.PAYMENT, "", {}),
        ("PAYMENT.CAPTURE.REFUNDED", {"invoice_id": [], "links": "x"}, Subject.REFUND, "", {}),
    ],
)  # fmt: skip
def test_event_says_what_it_is_about(kind, resource, subject, reference, ids) -> None:
    body = dumps({"id": "WH-1", "event_type": kind, "resource": resource}).encode()
    [hint] = letters.hints(Letter(method="POST", headers={}, body=body))
    assert (hint.event_id, hint.kind, hint.subject, hint.reference) == ("WH-1", kind, subject, reference)
    assert hint.ids == ids


def test_amount_of_an_event_is_read_when_it_is_one() -> None:
    def amount(fields: object) -> Money | None:
        event = {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"amount": fields}}
        [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
        return hint.amount

    assert amount({"currency_code": "EUR", "value": "25.00"}) == Money(2_500, "EUR")
    assert amount({"currency": "EUR", "value": "25.00"}) == Money(2_500, "EUR")
    for nonsense in ({"currency_code": "EUR", "value": "25.001"}, {"currency_code": "XXQ", "value": "1"}, {}, 5, None):
        assert amount(nonsense) is None


def test_amount_of_a_dispute_is_what_is_disputed() -> None:
    resource = {"dispute_id": "PP-D-1", "dispute_amount": {"currency_code": "EUR", "value": "9.99"}}
    event = {"id": "WH-1", "event_type": "CUSTOMER.DISPUTE.CREATED", "resource": resource}
    [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
    assert hint.amount == Money(999, "EUR")


@pytest.mark.parametrize(
    ("kind", "outcome", "state"),
    [
        ("CREATED", None, DisputeState.NEEDS_RESPONSE),
        ("UPDATED", {"outcome_code": "ACCEPTED"}, DisputeState.NEEDS_RESPONSE),
        ("RESOLVED", {"outcome_code": "RESOLVED_BUYER_FAVOUR"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "RESOLVED_WITH_PAYOUT"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "ACCEPTED"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "RESOLVED_SELLER_FAVOUR"}, DisputeState.WON),
        ("RESOLVED", {"outcome_code": "CANCELED_BY_BUYER"}, DisputeState.WON),
        ("RESOLVED", None, DisputeState.WON),
    ],
)
def test_event_says_how_a_dispute_stands(kind: str, outcome: object, state: DisputeState) -> None:
    resource = {"dispute_id": "PP-D-1", "reason": "UNAUTHORISED", "dispute_outcome": outcome}
    event = {"id": "WH-1", "event_type": f"CUSTOMER.DISPUTE.{kind}", "resource": resource}
    [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
    told = letters.dispute_told(hint.kind, hint.object)  # as the inbox keeps it
    assert (told.state, told.reason, told.amount) == (state, "unauthorised", None)


@pytest.mark.parametrize(
    ("kind", "code", "amount"),
    [
        ("RESOLVED", "RESOLVED_BUYER_FAVOUR", Money(1_000, "EUR")),
        ("RESOLVED", "ACCEPTED", Money(1_000, "EUR")),
        ("RESOLVED", "RESOLVED_WITH_PAYOUT", None),  # it may be PayPal's money
        ("RESOLVED", "RESOLVED_SELLER_FAVOUR", None),
        ("UPDATED", "RESOLVED_BUYER_FAVOUR", None),
    ],
)
def test_event_says_what_a_buyer_has_got_of_our_money(kind: str, code: str, amount: Money | None) -> None:
    outcome = {"outcome_code": code, "amount_refunded": {"currency_code": "EUR", "value": "10.00"}}
    told = letters.dispute_told(f"CUSTOMER.DISPUTE.{kind}", {"resource": {"dispute_outcome": outcome}})
    assert told.amount == amount


def test_event_without_words_about_its_dispute_has_only_opened_it() -> None:
    assert letters.dispute_told("CUSTOMER.DISPUTE.CREATED", {"resource": []}).state is DisputeState.NEEDS_RESPONSE
