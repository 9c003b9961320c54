"""How we speak with Stripe: its own library over our own way of HTTP, and every failure as one of the three."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import stripe
from stripe._v1_services import V1Services

from billing.gateways import http
from billing.gateways.base import Capabilities
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.http import Channel, Limits
from billing.gateways.redaction import redacted_text

NAME = "stripe"
PAGE = 100
MOST_PAGES = 20
CONFLICT = 409

Fields = dict[str, Any]

# What one of these words means to us; Stripe has more, and those say no for reasons that concern nobody else.
OTHER_MODE = "a similar object exists in"
CATEGORIES: Mapping[str, FailureCategory] = {
    **dict.fromkeys(("insufficient_funds", "balance_insufficient"), FailureCategory.INSUFFICIENT_FUNDS),
    **dict.fromkeys(
        ("authentication_required", "online_or_offline_pin_required", "payment_intent_authentication_failure"),
        FailureCategory.AUTHENTICATION_REQUIRED,
    ),
    **dict.fromkeys(
        ("fraudulent", "lost_card", "stolen_card", "pickup_card", "merchant_blacklist", "security_violation"),
        FailureCategory.RISK,
    ),
    **dict.fromkeys(
        (
            "amount_too_large",
            "amount_too_small",
            "card_velocity_exceeded",
            "withdrawal_count_limit_exceeded",
            "charge_exceeds_source_limit",
            "charge_exceeds_transaction_limit",
            "charge_exceeds_weekly_limit",
        ),
        FailureCategory.LIMIT,
    ),
    **dict.fromkeys(("currency_not_supported", "card_not_supported", "not_permitted"), FailureCategory.NOT_SUPPORTED),
    **dict.fromkeys(
        (
            "incorrect_cvc",
            "incorrect_number",
            "incorrect_zip",
            "invalid_cvc",
            "invalid_expiry_month",
            "invalid_expiry_year",
            "invalid_number",
            "expired_card",
            "invalid_account",
        ),
        FailureCategory.INVALID_PAYER,
    ),
    **dict.fromkeys(("charge_already_refunded", "charge_already_captured"), FailureCategory.DUPLICATE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    secret_key: str = field(repr=False)
    publishable_key: str = ""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    webhook_tolerance_seconds: int = 300
    live_mode: bool = False
    api_base: str = "https://api.stripe.com"
    files_base: str = "https://files.stripe.com"
    api_version: str = stripe.api_version
    automatic_tax: bool = False
    tax_code: str = ""  # of what is sold; empty: the one that the account has
    minimums_minor: Mapping[str, int] = field(default_factory=dict)
    lookup_window_seconds: int = 86_400  # how long after an attempt's beginning its request may still have come in
    limits: Limits = field(default_factory=Limits)


class Transport(stripe.HTTPClient):
    """The library's requests over our channel: bounded, never repeated, never redirected, logged without secrets."""

    name = "tirelire"

    def __init__(self, *channels: Channel) -> None:
        super().__init__()
        self.channels = channels

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        content = post_data.encode() if isinstance(post_data, str) else post_data
        moves = method.lower() != "get"
        channel = next(each for each in self.channels if url.startswith(f"{each.base_url}/"))
        reply = channel.call(
            method.upper(),
            url.removeprefix(channel.base_url),
            moves=moves,
            content=content,
            headers=headers,
            is_slow=moves,
        )
        return reply.body.decode("utf-8", "replace"), reply.status, reply.headers

    def close(self) -> None:
        pass


class Connected:
    """What every part of the adapter stands on."""

    name = NAME
    capabilities: Capabilities

    def __init__(self, configuration: Configuration, *, client: stripe.HTTPClient | None = None) -> None:
        self.configuration = configuration
        self._http = client

    @functools.cached_property
    def api(self) -> V1Services:
        base, files_base = self.configuration.api_base.rstrip("/"), self.configuration.files_base.rstrip("/")
        limits = self.configuration.limits
        channels = [Channel(gateway=NAME, base_url=each, limits=limits) for each in dict.fromkeys((base, files_base))]
        http_client = self._http or Transport(*channels)
        return stripe.StripeClient(
            self.configuration.secret_key,
            stripe_version=self.configuration.api_version,
            base_addresses={"api": base, "files": files_base},
            max_network_retries=0,  # ours are counted, and know what may be sent again
            http_client=http_client,
        ).v1

    def ask(self, question: Callable[[], stripe.StripeObject]) -> Fields:
        with sorted_failures(moves=False):
            found: Fields = question().to_dict(for_json=True)
            return found

    def move(self, act: Callable[[], stripe.StripeObject]) -> Fields:
        with sorted_failures(moves=True):
            found: Fields = act().to_dict(for_json=True)
            return found

    def search(
        self, page: Callable[[Fields], stripe.StripeObject], matches: Callable[[Fields], bool], **filters: Any
    ) -> Fields | None:
        """The one object of a list that matches. If the list is too long to be read, nobody knows: `Uncertain`."""
        cursor: Fields = {}
        for _ in range(MOST_PAGES):
            asked: Fields = {**filters, "limit": PAGE, **cursor}
            found = self.ask(functools.partial(page, asked))
            data: list[Fields] = found["data"]
            for each in data:
                if matches(each):
                    return each
            if not found.get("has_more") or not data:
                return None
            cursor = {"starting_after": data[-1]["id"]}
        raise Uncertain(
            "Stripe's list is too long to be searched.", gateway=NAME, category=FailureCategory.UNKNOWN, code="too_long"
        )

    def every(self, page: Callable[[Any], stripe.StripeObject], **filters: Any) -> list[Fields]:
        """All of a list. What is longer than can be read is refused, since half of it would say what is not so."""
        found: list[Fields] = []
        cursor: Fields = {}
        for _ in range(MOST_PAGES):
            asked: Fields = {**filters, "limit": PAGE, **cursor}
            answer = self.ask(functools.partial(page, asked))
            found += answer["data"]
            if not answer.get("has_more") or not answer["data"]:
                return found
            cursor = {"starting_after": found[-1]["id"]}
        raise Uncertain(
            "Stripe's list is too long to be read.", gateway=NAME, category=FailureCategory.UNKNOWN, code="too_long"
        )

    def window(self, created_at: datetime | None) -> Fields:
        """The filter of a list for what may have come of an attempt that began then."""
        if created_at is None:
            return {}
        since = int(created_at.timestamp()) - 300  # our clock and theirs
        return {"created": {"gte": since, "lte": since + self.configuration.lookup_window_seconds}}


# ---------------------------------------------------------------- failures


@contextmanager
def sorted_failures(*, moves: bool) -> Iterator[None]:
    try:
        yield
    except stripe.StripeError as error:
        raise sort(error, moves=moves) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The library builds objects from whatever JSON came back; what it chokes on is no answer.
        raise Uncertain("Stripe's reply cannot be read.", gateway=NAME, code="unreadable") from error


def sort(error: stripe.StripeError, *, moves: bool) -> GatewayError:
    kind: type[GatewayError]
    match error:
        case stripe.APIConnectionError() | stripe.RateLimitError():
            kind, category = Unavailable, FailureCategory.PROVIDER_DOWN
        case stripe.AuthenticationError() | stripe.PermissionError():
            # Refused at the door: another gateway may be asked, and an operator must look at the key.
            kind, category = Unavailable, FailureCategory.CONFIGURATION
        case stripe.IdempotencyError():
            # Something was begun under this key with other words: what became of it, only a question tells.
            kind, category = Uncertain, FailureCategory.DUPLICATE
        case stripe.InvalidRequestError() if OTHER_MODE in str(error):
            # It is not missing: our key is of the test mode and it of the live one, or the other way round.
            kind, category = Unavailable, FailureCategory.CONFIGURATION
        case stripe.CardError():
            kind, category = Declined, category_of(word(error), FailureCategory.PAYER_DECLINED)
        case stripe.InvalidRequestError():
            # Of a refund that is more than what is left Stripe says only which parameter is wrong.
            usual = FailureCategory.LIMIT if error.param == "amount" else FailureCategory.INVALID_REQUEST
            kind, category = Declined, category_of(word(error), usual)
        case _ if error.http_status == CONFLICT:  # the same key is being worked on
            kind, category = Uncertain, FailureCategory.DUPLICATE
        case _ if not moves and (error.http_status or 0) >= http.SERVER_ERROR:
            kind, category = Unavailable, FailureCategory.PROVIDER_DOWN
        case _:
            kind, category = Uncertain, FailureCategory.PROVIDER_DOWN
    return _made(kind, error, category)


def category_of(code: str, otherwise: FailureCategory) -> FailureCategory:
    return CATEGORIES.get(code, otherwise)


def word(error: stripe.StripeError) -> str:
    """Stripe's most exact word: the bank's, else its own."""
    described = error.error
    return str(getattr(described, "decline_code", None) or error.code or "")


def _made(kind: type[GatewayError], error: stripe.StripeError, category: FailureCategory) -> GatewayError:
    return kind(
        redacted_text(error.user_message or str(error)),
        gateway=NAME,
        category=category,
        code=word(error) or (str(error.http_status) if error.http_status else type(error).__name__),
        trace=error.request_id or "",
        retry_after_seconds=_retry_after_seconds(error),
    )


def _retry_after_seconds(error: stripe.StripeError) -> int | None:
    """Stripe's library keeps the headers as they came, in whatever case."""
    text = next((value for name, value in (error.headers or {}).items() if name.lower() == "retry-after"), "")
    return min(int(text), http.LONGEST_WAIT_SECONDS) if text.isascii() and text.isdigit() else None


# ---------------------------------------------------------------- reading


def moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and not isinstance(seconds, bool) else None


def id_of(value: Any) -> str:
    """Stripe writes an id, or in its place the object, when it was asked to."""
    if isinstance(value, str):
        return value
    return str(value.get("id") or "") if isinstance(value, Mapping) else ""


def part(value: Any) -> Fields:
    """The object, where it is one; Stripe may have written an id or null in its place."""
    if isinstance(value, dict):
        return value
    return dict(value) if isinstance(value, Mapping) else {}


def reference_of(found: Fields) -> str:
    return str(part(found.get("metadata")).get("reference") or found.get("client_reference_id") or "")


def checked(found: Fields, kind: str) -> Fields:
    """A reply that is what we asked for; a sound JSON of something else is no answer either."""
    if found.get("object") != kind or not isinstance(found.get("id"), str) or not found["id"]:
        raise Uncertain(f"Stripe's reply is no {kind}.", gateway=NAME, code="unreadable")
    return found
