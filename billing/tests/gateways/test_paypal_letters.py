"""PayPal's letters, checked without asking anybody: the certificate's address, its owner, the signature, the age."""

import base64
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from billing.gateways.base import Letter
from billing.gateways.errors import InvalidLetter, Unavailable
from billing.gateways.http import Limits
from billing.gateways.paypal import Configuration, PayPal, letters
from billing.tests.gateways import certificates, contenders, wire

BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"C1"}}'
OWNER = "messageverificationcerts.paypal.com"
CERTIFICATE = "/v1/notifications/certs/CERT-1"
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
        url = server.url + CERTIFICATE
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
        found = letter(server.url + CERTIFICATE, paypal)
        check(found, server.url)
        with pytest.raises(InvalidLetter):
            check(spoil(found), server.url)


def test_letter_of_another_webhook_of_the_same_account_is_refused(paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        found = letter(server.url + CERTIFICATE, paypal)
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
        check(letter(server.url + CERTIFICATE, certificate), server.url)


@pytest.mark.parametrize("host", sorted(letters.HOSTS))
def test_certificate_is_fetched_from_whichever_host_of_paypal_the_letter_names(host: str) -> None:
    found = letters.Certificates("https://api-m.paypal.com", Limits())._allowed(f"https://{host}{CERTIFICATE}")
    assert found == (f"https://{host}", CERTIFICATE)


def test_certificate_without_other_names_is_known_by_its_own(paypal: certificates.Identity) -> None:
    answers = [wire.answer(body=certificates.bare(name, paypal.key)) for name in (OWNER, "shop.example")]
    with wire.listening(*answers) as server:
        found = letter(server.url + CERTIFICATE, paypal)
        check(found, server.url)
        with pytest.raises(InvalidLetter, match="somebody else's"):
            check(found, server.url)


def test_certificate_of_another_kind_of_key_is_refused(paypal: certificates.Identity) -> None:
    published = certificates.bare(OWNER, ec.generate_private_key(ec.SECP256R1()))
    with wire.listening(wire.answer(body=published)) as server, pytest.raises(InvalidLetter, match="none of RSA"):
        check(letter(server.url + CERTIFICATE, paypal), server.url)


def test_address_of_a_certificate_that_cannot_be_read_is_refused(paypal: certificates.Identity) -> None:
    with pytest.raises(InvalidLetter, match="address is none"):
        check(letter("https://[api.paypal.com/v1/notifications/certs/CERT-1", paypal), "https://api-m.paypal.com")


@pytest.mark.parametrize("behaviour", [wire.answer(body=b"no certificate"), wire.answer("404 Not Found")])
def test_what_stands_there_instead_of_a_certificate_is_refused(
    behaviour: wire.Behaviour, paypal: certificates.Identity
) -> None:
    with wire.listening(behaviour) as server, pytest.raises(InvalidLetter):
        check(letter(server.url + CERTIFICATE, paypal), server.url)


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
        found = letter(server.url + CERTIFICATE, paypal)
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


def test_certificates_are_forgotten_before_they_fill_the_memory(
    paypal: certificates.Identity, minute: type[Minute]
) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        known, urls = letters.Certificates(server.url, Limits()), []
        for number in range(letters.MOST_CERTIFICATES + 1):
            minute.now += letters.FETCHES_WINDOW_SECONDS
            urls.append(f"{server.url}/v1/notifications/certs/CERT-{number}")
            known.get(urls[-1])
    assert [url for url in urls if known.knows(url)] == [urls[-1]]


def test_what_is_proven_by_a_call_says_so_before(paypal: certificates.Identity) -> None:
    with wire.listening(wire.answer(body=paypal.certificate_pem)) as server:
        configured = Configuration(
            base_url=server.url, client_id="id", client_secret="secret", webhook_id="WHID-1", webhook_check="offline"
        )
        gateway, found = PayPal(configured, Limits()), letter(server.url + CERTIFICATE, paypal)
        assert gateway.must_ask(found)
        gateway.read_letter(found)
        assert not gateway.must_ask(found)
        assert PayPal(replace(configured, webhook_check="ask"), Limits()).must_ask(found)


def test_letter_may_come_again_when_the_certificate_cannot_be_fetched(paypal: certificates.Identity) -> None:
    with wire.listening(wire.hang_up) as server, pytest.raises(Unavailable):
        check(letter(server.url + CERTIFICATE, paypal), server.url)


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


def test_moment_without_a_zone_is_of_greenwich(paypal: certificates.Identity) -> None:
    def sent(seconds: int) -> Letter:
        return letter("", paypal, sent=contenders.moment_ago(seconds).removesuffix("Z"))

    letters.check_age(sent(60), 120)
    for seconds in (180, -400):
        with pytest.raises(InvalidLetter):
            letters.check_age(sent(seconds), 120)


TOKEN = wire.answer(body=b'{"access_token": "t1", "expires_in": 3600}')


@pytest.mark.parametrize("verdict", [b"<html>", b"[]", b"{}", b'{"verification_status": "MAYBE"}'])
def test_letter_of_which_paypal_says_nothing_clear_may_come_again(
    verdict: bytes, paypal: certificates.Identity
) -> None:
    with wire.listening(TOKEN, wire.answer(body=verdict)) as server:
        configured = Configuration(
            base_url=server.url, client_id="id", client_secret="secret", webhook_id="WHID-1", webhook_check="ask"
        )
        with pytest.raises(Unavailable):
            PayPal(configured, Limits()).read_letter(letter(server.url + CERTIFICATE, paypal))
    assert b'"webhook_id": "WHID-1", "webhook_event": ' + BODY + b"}" in server.received[-1]
