"""Stripe's webhooks: signed, dated, and only for the mode that we run in."""

import hmac
import json
import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from billing.gateways.base import Hint, Letter, Trust
from billing.gateways.errors import InvalidLetter, Uncertain
from billing.gateways.stripe.client import MOST_PAGES, PAGE, Connected, Fields, id_of, moment, part, reference_of
from billing.gateways.stripe.currencies import from_wire_or_none
from billing.gateways.subjects import Subject
from ledger.money import Money

# By what an event's name begins with; the longest wins.
SUBJECTS = {
    "checkout.session.": Subject.PAYMENT,
    "payment_intent.": Subject.PAYMENT,
    "setup_intent.": Subject.SETUP,
    "payment_method.attached": Subject.METHOD,
    "charge.": Subject.PAYMENT,
    "charge.refunded": Subject.MONEY_BACK,
    "charge.dispute.": Subject.DISPUTE,
    "charge.refund.": Subject.REFUND,
    "refund.": Subject.REFUND,
    "payout.": Subject.PAYOUT,
    "transfer.": Subject.PAYOUT,
    "customer.subscription.": Subject.SUBSCRIPTION,
    "customer.subscription.trial_will_end": Subject.TRIAL_END,
    "invoice.": Subject.INVOICE,
    "invoice_payment.": Subject.INVOICE,
}
IDS = {
    "checkout.session": "session",
    "payment_intent": "payment_intent",
    "charge": "charge",
    "refund": "refund",
    "payout": "payout",
    "transfer": "transfer",
    "dispute": "dispute",
    "subscription": "subscription",
    "invoice": "invoice",
    "setup_intent": "setup_intent",
    "payment_method": "payment_method",
}
AMOUNTS = {"checkout.session": "amount_total", "invoice": "amount_paid"}
LINKS = ("payment_intent", "charge", "subscription", "invoice", "setup_intent", "customer")


class Letters(Connected):
    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        verify(
            letter.body,
            letter.headers.get("stripe-signature", ""),
            secrets=self.configuration.webhook_secrets,
            tolerance_seconds=self.configuration.webhook_tolerance_seconds,
            now=time.time(),
        )
        event = _document(letter.body)
        if not isinstance(event, dict):
            raise InvalidLetter("Stripe's letter is no event.")
        if event.get("object") == "v2.core.event":
            return ()  # a thin event: it says only that something happened, and we did not subscribe to it
        if event.get("livemode") is not self.configuration.live_mode:
            raise InvalidLetter("Stripe's letter is of the other mode: test or live.")
        return (hint_of(event),)

    def undelivered(self, *, since: datetime) -> Sequence[Hint]:
        """Events that Stripe could not bring to somebody, the newest 2 000. It gives up after three days and lists them
        for 30, also those that only another endpoint of the account has missed."""
        found: list[Hint] = []
        cursor: Fields = {}
        for _ in range(MOST_PAGES):
            params: Any = {
                "delivery_success": False,
                "created": {"gte": int(since.timestamp())},
                "limit": PAGE,
                **cursor,
            }
            page = self._events(params)
            events: list[Fields] = page["data"]
            found += [hint_of(event) for event in events]
            if not page.get("has_more") or not events:
                break
            cursor = {"starting_after": events[-1]["id"]}
        return found

    def _events(self, params: Any) -> Fields:
        return self.ask(lambda: self.api.events.list(params))


def _document(body: bytes) -> Any:
    """What the quick reader refuses (a number beyond 64 bits, half a surrogate), the slower one may still read."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidLetter("Stripe's letter is no JSON.") from error


def verify(body: bytes, header: str, *, secrets: Sequence[str], tolerance_seconds: int, now: float) -> None:
    """Any of our secrets over any of its signatures: Stripe sends two while a secret is rotated.

    The library's own check takes one secret, and a date in the future.
    """
    sent_at, signatures = _parts(header)
    if sent_at is None or not signatures:
        raise InvalidLetter("Stripe's letter is not signed.")
    signed = b"%d.%b" % (sent_at, body)
    expected = [hmac.digest(secret.encode(), signed, "sha256").hex().encode() for secret in secrets]
    # Each is compared, whatever the others say: how long it takes tells nothing.
    fits = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in signatures]
    if not any(fits):
        raise InvalidLetter("Stripe's letter has a wrong signature.")
    if abs(now - sent_at) > tolerance_seconds:
        raise InvalidLetter("Stripe's letter has a date too far from now.")


def _parts(header: str) -> tuple[int | None, list[bytes]]:
    pairs = [pair.strip().partition("=") for pair in header.split(",")]
    dates = [value for name, _, value in pairs if name == "t" and value.isascii() and value.isdigit()]
    signatures = [value.encode("utf-8", "replace") for name, _, value in pairs if name == "v1"]
    is_dated = len(dates) == 1 and len(dates[0]) <= 12  # noqa: PLR2004 - seconds until the year 30000
    return (int(dates[0]) if is_dated else None), signatures


def hint_of(event: Fields) -> Hint:
    kind, found = event.get("type"), part(part(event.get("data")).get("object"))
    event_id = event.get("id")
    if not isinstance(kind, str) or not isinstance(event_id, str) or not event_id:
        raise InvalidLetter("Stripe's letter is no event.")
    word = str(found.get("object") or "")
    details = part(part(found.get("parent")).get("subscription_details"))  # of an invoice: its subscription
    return Hint(
        event_id=event_id,
        kind=kind,
        subject=_subject(kind, found),
        trust=Trust.SIGNED,
        reference=reference_of(found) or reference_of(details),
        ids=_ids(word, found, details),
        amount=_amount(found.get(AMOUNTS.get(word, "amount")), found.get("currency")),
        occurred_at=moment(event.get("created")),
        object=found,
    )


def _subject(kind: str, found: Fields) -> Subject:
    if kind.startswith("checkout.session.") and found.get("mode") == "subscription":
        return Subject.SUBSCRIPTION
    if kind.startswith("checkout.session.") and found.get("mode") == "setup":
        return Subject.SETUP
    return _subject_of_kind(kind)


@lru_cache(maxsize=512)  # of letters that are proven, so that nobody else fills it
def _subject_of_kind(kind: str) -> Subject:
    fitting = [prefix for prefix in SUBJECTS if kind.startswith(prefix)]
    return SUBJECTS[max(fitting, key=len)] if fitting else Subject.OTHER


def _ids(word: str, found: Fields, details: Fields) -> dict[str, str]:
    ids = {name: linked for name in LINKS if (linked := id_of(found.get(name)))}
    if own := IDS.get(word):
        ids[own] = str(found.get("id") or "")
    if subscription := id_of(details.get("subscription")):
        ids["subscription"] = subscription
    return ids


def _amount(minor: object, currency: object) -> Money | None:
    try:
        return from_wire_or_none(minor, currency)
    except Uncertain:
        return None  # a hint may be vague: what is true, we ask
