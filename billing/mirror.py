"""Stripe's objects in dj-stripe's tables, to look at: fed by our inbox, after and apart from all that matters.

Nothing here may hold anybody up. What fails is tried again some times and then left, with its reason on the letter.
"""

import functools
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import stripe
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from djstripe import models as mirrored

from billing.gateways import registry
from billing.gateways.http import Channel
from billing.gateways.stripe import Stripe
from billing.gateways.stripe.client import PAGE, Transport
from billing.models import GatewayLetter

logger = logging.getLogger(__name__)

NAME = "stripe"
# dj-stripe follows these by deleting rows of other objects, or even by deleting the customer at Stripe once more.
NOT_FOLLOWED = {"customer.deleted", "price.deleted", "product.deleted"}
# By the name of a list of Stripe's, in the order in which they refer to each other: so fewer are fetched one by one.
KINDS: Mapping[str, Any] = {
    "products": mirrored.Product,
    "prices": mirrored.Price,
    "coupons": mirrored.Coupon,
    "promotion_codes": mirrored.PromotionCode,
    "customers": mirrored.Customer,
    "payment_intents": mirrored.PaymentIntent,
    "charges": mirrored.Charge,
    "refunds": mirrored.Refund,
    "disputes": mirrored.Dispute,
    "subscriptions": mirrored.Subscription,
    "invoices": mirrored.Invoice,
    "checkout_sessions": mirrored.Session,
}
# Lists that leave out what is over, unless they are asked for all of it.
_ALL_OF_THEM = {"subscriptions": {"status": "all"}}
_CLAIM = """
    UPDATE billing_gatewayletter SET mirror_tries = mirror_tries + 1, mirror_at = %(until)s
     WHERE id IN (
            SELECT id FROM billing_gatewayletter
             WHERE gateway = 'stripe' AND mirror_at IS NOT NULL AND mirror_at <= %(now)s
             ORDER BY mirror_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
           )
    RETURNING *
"""


def work_through(now: datetime | None = None) -> int:
    """Mirror the letters that are due; returns how many were tried."""
    if not ready():
        return 0
    _prepare()
    total = 0
    while total < settings.MIRROR_MOST and (batch := _claim(now or timezone.now())):
        for letter in batch:
            _follow_one(letter)
        total += len(batch)
    return total


def ready() -> bool:
    return not registry.get(NAME).missing_settings()


def backfill(kind: str, *, since: datetime | None = None) -> Iterator[bool]:
    """Mirror every object of a kind that Stripe has, page by page; yields for each whether it could be mirrored."""
    _prepare()
    pages = _pages(kind, {} if since is None else {"created": {"gte": int(since.timestamp())}})
    for found in pages:
        yield _kept(KINDS[kind], found)


def _claim(now: datetime) -> list[GatewayLetter]:
    until = now + timedelta(seconds=settings.INBOX_LEASE_SECONDS)
    found = GatewayLetter.objects.raw(_CLAIM, {"now": now, "until": until, "most": settings.INBOX_BATCH})
    return sorted(found, key=lambda letter: letter.pk)


def _follow_one(letter: GatewayLetter) -> None:
    try:
        _follow(letter)
    except SoftTimeLimitExceeded:
        raise  # of the task, and nothing that is wrong with this one
    except Exception as error:  # noqa: BLE001 - dj-stripe fails in more ways than anybody can list; none is an error
        _later(letter, f"{type(error).__name__}: {error}")
    else:
        GatewayLetter.objects.filter(pk=letter.pk).update(mirror_at=None, mirror_error="")


def _follow(letter: GatewayLetter) -> None:
    if letter.kind in NOT_FOLLOWED:
        return
    api = _stripe().api
    event = _stripe().ask(lambda: api.events.retrieve(letter.event_id))
    process: Any = mirrored.Event.process  # without types
    process(event, api_key=settings.STRIPE_SECRET_KEY)
    if event["data"]["object"].get("object") == "refund":
        # dj-stripe follows no event of a refund.
        name = event["data"]["object"]["id"]
        _keep(mirrored.Refund, stripe.Refund.retrieve(name, **_as_ourselves()))


def _later(letter: GatewayLetter, error: str) -> None:
    pauses = settings.MIRROR_RETRY_SECONDS
    then = None
    if letter.mirror_tries <= len(pauses):
        then = timezone.now() + timedelta(seconds=pauses[letter.mirror_tries - 1])
    GatewayLetter.objects.filter(pk=letter.pk).update(mirror_at=then, mirror_error=error[:300])
    level = logging.INFO if then else logging.WARNING
    logger.log(level, "mirror.failed", extra={"letter": str(letter.pk), "kind": letter.kind, "reason": error[:300]})


# ---------------------------------------------------------------- lists


def _pages(kind: str, chosen: Mapping[str, Any]) -> Iterator[Any]:
    model: Any = stripe.checkout.Session if kind == "checkout_sessions" else KINDS[kind].stripe_class
    page = model.list(limit=PAGE, **chosen, **_ALL_OF_THEM.get(kind, {}), **_as_ourselves())
    return iter(page.auto_paging_iter())


def _kept(model: Any, found: Any) -> bool:
    try:
        _keep(model, found)
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above; the others shall come
        reason = f"{type(error).__name__}: {error}"[:300]
        logger.warning("mirror.not_kept", extra={"object": str(found["id"]), "reason": reason})
        return False
    return True


@transaction.atomic
def _keep(model: Any, found: Any) -> None:
    model.sync_from_stripe_data(found, api_key=settings.STRIPE_SECRET_KEY)


# ---------------------------------------------------------------- dj-stripe's way to Stripe


def _stripe() -> Stripe:
    adapter = registry.get(NAME)
    assert isinstance(adapter, Stripe)  # noqa: S101 - of that name there is no other
    return adapter


def _as_ourselves() -> dict[str, Any]:
    return {"api_key": settings.STRIPE_SECRET_KEY, "stripe_version": settings.STRIPE_API_VERSION}


def _prepare() -> None:
    """dj-stripe speaks by the library's global client, which nobody else here uses: bounded in time, as ours is."""
    base = settings.STRIPE_API_BASE.rstrip("/")
    if stripe.api_base != base or not isinstance(stripe.default_http_client, Transport):
        stripe.api_base = base
        stripe.max_network_retries = 0
        stripe.default_http_client = Transport(Channel(gateway=NAME, base_url=base, limits=registry.limits()))


@functools.lru_cache(maxsize=4)
def _own_id(key: str, base: str) -> str:
    return str(stripe.Account.retrieve(**_as_ourselves())["id"])


def _own_account(api_key: str) -> mirrored.Account:
    """Whose the key is. dj-stripe would look it up by a row that holds the secret key in plain text."""
    name = _own_id(api_key, settings.STRIPE_API_BASE)
    account, _ = mirrored.Account.objects.get_or_create(id=name, defaults={"livemode": settings.STRIPE_LIVE_MODE})
    found: mirrored.Account = account
    return found


mirrored.Account.get_or_retrieve_for_api_key = _own_account  # type: ignore[method-assign]
