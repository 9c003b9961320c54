"""Which gateways there are: by name, made once in each process from the settings."""

import os
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.conf import settings

from billing.gateways import mtn_momo, orange_money, paypal, stripe
from billing.gateways.base import Gateway
from billing.gateways.cinetpay import CinetPay
from billing.gateways.cinetpay import configuration as cinetpay
from billing.gateways.http import Limits
from billing.gateways.mtn_momo import MtnMomo
from billing.gateways.orange_money import OrangeMoney
from billing.gateways.paypal import PayPal
from billing.gateways.titles import TITLES

NAMES = tuple(TITLES)


class UnknownGateway(LookupError):
    """No gateway has this name, or it is not built in."""


_made: dict[str, Gateway] = {}
_lock = threading.Lock()


def get(name: str) -> Gateway:
    if name not in BUILDERS:
        raise UnknownGateway(name)
    with _lock:
        if name not in _made:
            _made[name] = BUILDERS[name]()
        return _made[name]


def all() -> Mapping[str, Gateway]:  # noqa: A001 - read as registry.all()
    """Every gateway, configured or not, in the order in which we show them."""
    return {name: get(name) for name in NAMES if name in BUILDERS}


def configured() -> Mapping[str, Gateway]:
    """Those that have their credentials; what one lacks stops no other."""
    return {name: gateway for name, gateway in all().items() if not gateway.missing_settings()}


def forget() -> None:
    """Made again at the next use: after settings changed in a test, and in a forked process, whose connections would
    be its parent's."""
    with _lock:
        _made.clear()


def limits() -> Limits:
    """How long every gateway is waited for."""
    return Limits(
        connect_seconds=settings.GATEWAY_CONNECT_TIMEOUT_SECONDS,
        read_seconds=settings.GATEWAY_READ_TIMEOUT_SECONDS,
        slow_read_seconds=settings.GATEWAY_SLOW_READ_TIMEOUT_SECONDS,
        reply_bytes=settings.GATEWAY_REPLY_MAX_BYTES,
    )


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 - the parent's lock may have been held while it forked
    _lock = threading.Lock()
    _made.clear()


os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------- each one, out of the settings


def _paypal() -> Gateway:
    return PayPal(
        paypal.Configuration(
            base_url=settings.PAYPAL_API_BASE,
            client_id=settings.PAYPAL_CLIENT_ID,
            client_secret=settings.PAYPAL_CLIENT_SECRET,
            webhook_id=settings.PAYPAL_WEBHOOK_ID,
            webhook_check=settings.PAYPAL_WEBHOOK_CHECK,
            webhook_tolerance_seconds=settings.PAYPAL_WEBHOOK_TOLERANCE_SECONDS,
            brand_name=settings.PAYPAL_BRAND_NAME,
        ),
        limits(),
    )


def _cinetpay() -> Gateway:
    return CinetPay(
        cinetpay.Configuration(
            generation=settings.CINETPAY_API,
            base_url=settings.CINETPAY_API_BASE,
            transfer_base_url=settings.CINETPAY_TRANSFER_API_BASE,
            v1_base_url=settings.CINETPAY_V1_API_BASE,
            api_key=settings.CINETPAY_API_KEY,
            site_id=settings.CINETPAY_SITE_ID,
            secret_key=settings.CINETPAY_SECRET_KEY,
            transfer_password=settings.CINETPAY_TRANSFER_PASSWORD,
            api_password=settings.CINETPAY_API_PASSWORD,
            currencies=tuple(settings.CINETPAY_CURRENCIES),
            maximum=settings.CINETPAY_MAXIMUM,
            payout_minimum=settings.CINETPAY_PAYOUT_MINIMUM,
            payout_maximum=settings.CINETPAY_PAYOUT_MAXIMUM,
            link_lifetime=timedelta(minutes=settings.CINETPAY_LINK_MINUTES),
            contact_email=settings.CINETPAY_CONTACT_EMAIL,
        ),
        limits(),
    )


def _mtn_momo() -> Gateway:
    return MtnMomo(
        mtn_momo.Configuration(
            base_url=settings.MTN_MOMO_API_BASE,
            target_environment=settings.MTN_MOMO_TARGET_ENVIRONMENT,
            currency=settings.MTN_MOMO_CURRENCY,
            country=settings.MTN_MOMO_COUNTRY,
            collection=mtn_momo.Product(
                subscription_key=settings.MTN_MOMO_COLLECTION_KEY,
                user=settings.MTN_MOMO_COLLECTION_USER,
                secret=settings.MTN_MOMO_COLLECTION_SECRET,
            ),
            disbursement=mtn_momo.Product(
                subscription_key=settings.MTN_MOMO_DISBURSEMENT_KEY,
                user=settings.MTN_MOMO_DISBURSEMENT_USER,
                secret=settings.MTN_MOMO_DISBURSEMENT_SECRET,
            ),
            refunds=settings.MTN_MOMO_REFUNDS,
            callbacks=settings.MTN_MOMO_CALLBACKS,
            minimum=settings.MTN_MOMO_MINIMUM,
            maximum=settings.MTN_MOMO_MAXIMUM,
        ),
        limits(),
    )


def _orange_money() -> Gateway:
    return OrangeMoney(
        orange_money.Configuration(
            base_url=settings.ORANGE_MONEY_API_BASE,
            environment=settings.ORANGE_MONEY_ENVIRONMENT,
            currency=settings.ORANGE_MONEY_CURRENCY,
            country=settings.ORANGE_MONEY_COUNTRY,
            client_id=settings.ORANGE_MONEY_CLIENT_ID,
            client_secret=settings.ORANGE_MONEY_CLIENT_SECRET,
            merchant_key=settings.ORANGE_MONEY_MERCHANT_KEY,
            shop_name=settings.ORANGE_MONEY_SHOP_NAME,
            minimum=settings.ORANGE_MONEY_MINIMUM,
            maximum=settings.ORANGE_MONEY_MAXIMUM,
        ),
        limits(),
    )


BUILDERS: dict[str, Callable[[], Gateway]] = {
    "stripe": lambda: stripe.from_settings(limits()),
    "paypal": _paypal,
    "cinetpay": _cinetpay,
    "mtn_momo": _mtn_momo,
    "orange_money": _orange_money,
}
