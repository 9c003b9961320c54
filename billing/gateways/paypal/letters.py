"""PayPal's webhooks: signed by a key whose certificate PayPal publishes, over the CRC32 of the exact body."""

import base64
import threading
import time
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from billing.gateways import amounts, letters
from billing.gateways.base import Hint, Letter, Trust
from billing.gateways.errors import FailureCategory, InvalidLetter, Unavailable, Uncertain
from billing.gateways.http import Channel, Limits, Reply
from billing.gateways.redaction import redacted
from billing.gateways.references import checked
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import DisputeState, DisputeTold
from ledger.errors import LedgerError
from ledger.money import Money

ALGORITHM = "SHA256withRSA"
HOSTS = frozenset({"api.paypal.com", "api-m.paypal.com", "api.sandbox.paypal.com", "api-m.sandbox.paypal.com"})
CERTIFICATE_PATH = "/v1/notifications/certs/"
CERTIFICATE_DOMAIN = ".paypal.com"
MOST_CERTIFICATES = 16
FETCH_SECONDS = 5.0  # a small file, and a thread of the web waits for it
# PayPal changes its certificate every few months; who names more of them is somebody else.
MOST_FETCHES, FETCHES_WINDOW_SECONDS = 12, 60.0
AHEAD = timedelta(minutes=5)  # as far as clocks may differ
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# How a dispute ends by which the money is the buyer's.
LOST = frozenset({"RESOLVED_BUYER_FAVOUR", "RESOLVED_WITH_PAYOUT", "ACCEPTED"})
# What a buyer gets "either the merchant or PayPal refunds", and with a payout that may be PayPal's own money.
# https://developer.paypal.com/api/customer-disputes/v1/definitions/dispute_outcome
PAID_BY_US = LOST - {"RESOLVED_WITH_PAYOUT"}
HEADERS = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}


# ---------------------------------------------------------------- is it PayPal's?


class Certificates:
    """PayPal's certificates by address. The address comes from the letter, so it may only lead to PayPal: exactly its
    hosts, over checked TLS; that is also what vouches for the certificate. And anybody writes letters, so that few are
    fetched in a minute: what comes above that is told to come again."""

    def __init__(self, base_url: str, limits: Limits) -> None:
        self._base_url = base_url.rstrip("/")
        self._limits = replace(limits, read_seconds=min(limits.read_seconds, FETCH_SECONDS))
        self._known: dict[str, x509.Certificate] = {}
        self._fetched: deque[tuple[float, str]] = deque()  # of the last minute
        self._missing: set[str] = set()  # those of them at which there was none
        self._lock = threading.Lock()

    def knows(self, url: str) -> bool:
        with self._lock:
            return url in self._known

    def get(self, url: str) -> x509.Certificate:
        with self._lock:
            known = self._known.get(url)
        if known is None:
            known = self._fetch(url)
            with self._lock:
                if len(self._known) >= MOST_CERTIFICATES:
                    self._known.clear()
                self._known[url] = known
        _check_certificate(known)
        return known

    def _fetch(self, url: str) -> x509.Certificate:
        root, path = self._allowed(url)
        self._take_turn(url)
        channel = Channel(gateway="paypal", base_url=root, limits=self._limits)
        reply = channel.call("GET", path, moves=False, headers={"Accept": "*/*"})
        if reply.status == 200:  # noqa: PLR2004 - HTTP's own
            with suppress(ValueError):
                return x509.load_pem_x509_certificate(reply.body)
        with self._lock:
            self._missing.add(url)
        raise InvalidLetter("There is no certificate at its address.")

    def _take_turn(self, url: str) -> None:
        now = time.monotonic()
        with self._lock:
            while self._fetched and self._fetched[0][0] <= now - FETCHES_WINDOW_SECONDS:
                self._missing.discard(self._fetched.popleft()[1])
            if url in self._missing:
                raise InvalidLetter("There was no certificate at its address a moment ago.")
            if len(self._fetched) >= MOST_FETCHES:
                raise Unavailable(
                    "Enough certificates were fetched in this minute.",
                    gateway="paypal",
                    category=FailureCategory.LIMIT,
                    code="certificates",
                )
            self._fetched.append((now, url))

    def _allowed(self, url: str) -> tuple[str, str]:
        """Root and path of a certificate's address, or a refusal."""
        try:
            parts = urlsplit(url)
        except ValueError as broken:  # a bracket that is not closed
            raise InvalidLetter("The certificate's address is none.") from broken
        is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc and ".." not in parts.path
        at_paypal = parts.scheme == "https" and parts.netloc in HOSTS and parts.path.startswith(CERTIFICATE_PATH)
        if is_plain and at_paypal:
            return f"https://{parts.netloc}", parts.path
        own = self._base_url + CERTIFICATE_PATH
        if is_plain and urlsplit(self._base_url).hostname in LOOPBACK and url.startswith(own):  # the sandbox
            return self._base_url, url.removeprefix(self._base_url)
        raise InvalidLetter("The certificate's address is not PayPal's.")


def _check_certificate(certificate: x509.Certificate) -> None:
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        raise InvalidLetter("The certificate is out of date.")
    names = {str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        found = None
    if isinstance(found, x509.SubjectAlternativeName):
        names |= set(found.get_values_for_type(x509.DNSName))
    if not any(name.endswith(CERTIFICATE_DOMAIN) for name in names):
        raise InvalidLetter("The certificate is somebody else's.")


def certificate_of(letter: Letter) -> str:
    """Where the letter says that its certificate is."""
    return letter.headers.get(HEADERS["cert_url"], "")


def check_age(letter: Letter, tolerance_seconds: int) -> None:
    try:
        sent_at = datetime.fromisoformat(letter.headers.get(HEADERS["transmission_time"], ""))
    except ValueError as broken:
        raise InvalidLetter("The letter does not say when it was sent.") from broken
    if sent_at.tzinfo is None:
        sent_at = sent_at.replace(tzinfo=UTC)
    now = datetime.now(UTC)
    if not now - timedelta(seconds=tolerance_seconds) <= sent_at <= now + AHEAD:
        raise InvalidLetter("The letter is too old, or from the future.")


def check_signature(letter: Letter, webhook_id: str, certificates: Certificates) -> None:
    parts = _parts(letter)
    if parts["auth_algo"] != ALGORITHM:
        raise InvalidLetter("The letter is signed in a way that PayPal does not use.")
    crc = zlib.crc32(letter.body) & 0xFFFFFFFF
    # The webhook's id is ours, never the letter's.
    signed = f"{parts['transmission_id']}|{parts['transmission_time']}|{webhook_id}|{crc}"
    try:
        signature = base64.b64decode(parts["transmission_sig"], validate=True)
    except ValueError as broken:  # binascii's own, or a letter beyond ASCII
        raise InvalidLetter("The signature is not base64.") from broken
    key = certificates.get(parts["cert_url"]).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidLetter("The certificate's key is none of RSA.")
    try:
        key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as wrong:
        raise InvalidLetter("The signature is wrong.") from wrong


def _parts(letter: Letter) -> dict[str, str]:
    parts = {name: letter.headers.get(header, "") for name, header in HEADERS.items()}
    if not all(parts.values()):
        raise InvalidLetter("The letter is not signed.")
    return parts


def question(letter: Letter, webhook_id: str) -> bytes:
    """What PayPal's verify call is asked. The event is spliced in to the byte: written anew it would be another one."""
    letters.fields(letter)  # what is no object would break out of its place
    head = dumps({**_parts(letter), "webhook_id": webhook_id})
    return head[:-1].encode() + b', "webhook_event": ' + letter.body + b"}"


def require_success(reply: Reply) -> None:
    try:
        status = reply.fields().get("verification_status")
    except Uncertain as broken:
        raise reply.unavailable("PayPal's verdict cannot be read.", code="unreadable") from broken
    if status == "FAILURE" or reply.status == 400:  # noqa: PLR2004 - HTTP's own
        raise InvalidLetter("PayPal says that it did not write this.")
    if status != "SUCCESS":
        raise reply.unavailable("PayPal gives no verdict.")


# ---------------------------------------------------------------- what does it say?


def hints(letter: Letter) -> Sequence[Hint]:
    event = letters.fields(letter)
    event_id, kind, resource = event.get("id"), event.get("event_type"), event.get("resource")
    if not isinstance(event_id, str) or not event_id or not isinstance(kind, str) or not isinstance(resource, dict):
        raise InvalidLetter("The event has no id, type or resource.")
    subject = _subject(kind)
    reference, ids = _named(subject, kind, resource)
    return [
        Hint(
            event_id=event_id,
            kind=kind,
            subject=subject,
            trust=Trust.SIGNED,
            reference=reference,
            ids={name: value for name, value in ids.items() if value},
            amount=_amount(resource.get("dispute_amount" if subject is Subject.DISPUTE else "amount")),
            occurred_at=_moment(event.get("create_time")),
            object=redacted(event),
        )
    ]


def _subject(kind: str) -> Subject:
    if kind == "PAYMENT.CAPTURE.REVERSED":
        return Subject.REVERSAL
    if kind == "PAYMENT.CAPTURE.REFUNDED" or kind.startswith("PAYMENT.REFUND."):
        return Subject.REFUND
    beginnings = {
        "CHECKOUT.": Subject.PAYMENT,
        "PAYMENT.CAPTURE.": Subject.PAYMENT,
        "PAYMENT.AUTHORIZATION.": Subject.PAYMENT,
        "PAYMENT.PAYOUTS": Subject.PAYOUT,
        "CUSTOMER.DISPUTE.": Subject.DISPUTE,
        "BILLING.SUBSCRIPTION.": Subject.SUBSCRIPTION,
        "PAYMENT.SALE.": Subject.SUBSCRIPTION,
    }
    return next((found for start, found in beginnings.items() if kind.startswith(start)), Subject.OTHER)


def _named(subject: Subject, kind: str, resource: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Our reference and PayPal's ids, as far as this kind of event names them."""
    own = letters.text(resource.get("id"))
    match subject:
        case Subject.PAYMENT if kind.startswith("CHECKOUT."):
            return checked(_first(resource, "purchase_units").get("custom_id")), {"order": own}
        case Subject.PAYMENT:
            order = _at(resource, "supplementary_data", "related_ids", "order_id")
            return checked(resource.get("custom_id")), {"order": letters.text(order), "capture": own}
        case Subject.REFUND | Subject.REVERSAL:
            return checked(resource.get("invoice_id")), {"refund": own, "capture": _up(resource)}
        case Subject.PAYOUT:
            return _named_in_payout(kind, resource)
        case Subject.DISPUTE:
            return _named_in_dispute(resource)
        case _:
            return checked(resource.get("custom_id")), {subject.value: own}


def _named_in_payout(kind: str, resource: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    if kind.startswith("PAYMENT.PAYOUTSBATCH."):
        header = resource.get("batch_header")
        batch = letters.text(_at({"header": header}, "header", "payout_batch_id"))
        sender = _at({"header": header}, "header", "sender_batch_header", "sender_batch_id")
        return checked(sender), {"batch": batch}
    ids = {"batch": letters.text(resource.get("payout_batch_id"))}
    ids["item"] = letters.text(resource.get("payout_item_id"))
    return checked(_at(resource, "payout_item", "sender_item_id")), ids


def _named_in_dispute(resource: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """A dispute has ids of its own, and names the payment by its capture."""
    payment = _first(resource, "disputed_transactions")
    ids = {"dispute": letters.text(resource.get("dispute_id"))}
    ids["capture"] = letters.text(payment.get("seller_transaction_id"))
    return checked(payment.get("custom")), ids


def dispute_told(kind: str, event: Mapping[str, object]) -> DisputeTold:
    """Of an event as it was kept; nothing but its last kind says how the dispute ended."""
    resource = event.get("resource")
    reason = letters.text(_at(resource, "reason")).lower()
    if not kind.endswith("RESOLVED"):
        return DisputeTold(state=DisputeState.NEEDS_RESPONSE, reason=reason)
    outcome = letters.text(_at(resource, "dispute_outcome", "outcome_code"))
    if outcome not in LOST:
        return DisputeTold(state=DisputeState.WON, reason=reason)
    amount = _amount(_at(resource, "dispute_outcome", "amount_refunded")) if outcome in PAID_BY_US else None
    return DisputeTold(state=DisputeState.LOST, reason=reason, amount=amount)


def _first(resource: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = resource.get(name)
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _at(fields: object, *path: str) -> object:
    for name in path:
        fields = fields.get(name) if isinstance(fields, Mapping) else None
    return fields


def _up(resource: Mapping[str, Any]) -> str:
    """The capture that a refund belongs to is named only by a link."""
    links = resource.get("links")
    known = links if isinstance(links, list) else []
    found = [each for each in known if isinstance(each, dict) and each.get("rel") == "up"]
    href = str(found[0].get("href", "")) if found else ""
    return href.rpartition("/")[2] if "/captures/" in href else ""


def _amount(fields: object) -> Money | None:
    if not isinstance(fields, Mapping):
        return None
    try:
        return amounts.read(fields.get("value"), fields.get("currency_code", fields.get("currency")))
    except (amounts.Unreadable, LedgerError):
        return None


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
