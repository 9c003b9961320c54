"""Gateways by name: made from the settings, and one that lacks a credential stops no other."""

import os
import subprocess
import sys

import pytest
from django.conf import settings as ours

from billing.gateways import registry, titles
from billing.gateways.base import (
    Captures,
    DestinationKind,
    OpensCheckout,
    PaysOut,
    ReceivesWebhooks,
    Refunds,
)
from events.templatetags import letters

pytestmark = pytest.mark.usefixtures("made_anew")
ALL = ["paypal", "cinetpay", "mtn_momo", "orange_money"]


def test_unknown_gateway_is_refused_by_name() -> None:
    with pytest.raises(registry.UnknownGateway, match="paypall"):
        registry.get("paypall")


def test_gateway_is_made_once() -> None:
    assert registry.get("paypal") is registry.get("paypal")


FORKING = """
import os, signal
from billing.gateways import registry
known = registry.get("paypal")
registry._lock.acquire()  # as another thread may, which makes one while this one forks
child = os.fork()
if not child:
    signal.alarm(60)  # for one that would wait for a thread which is not here
    os.write(1, b"the parent's" if registry.get("paypal") is known else b"its own")
    os._exit(0)
os.waitpid(child, 0)
"""


def test_forked_process_makes_its_own_whatever_its_parent_was_at() -> None:
    around = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    told = subprocess.check_output([sys.executable, "-c", FORKING], cwd=ours.BASE_DIR, env=around, text=True)
    assert told == "its own"


@pytest.mark.parametrize("name", ALL)
def test_gateway_carries_its_name(name: str) -> None:
    assert registry.get(name).name == name
    assert name in registry.all()


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("paypal", "PAYPAL_CLIENT_SECRET"),
        ("paypal", "PAYPAL_WEBHOOK_ID"),
        ("cinetpay", "CINETPAY_SECRET_KEY"),
        ("mtn_momo", "MTN_MOMO_COLLECTION_KEY"),
        ("orange_money", "ORANGE_MONEY_MERCHANT_KEY"),
    ],
)
def test_gateway_without_a_credential_is_not_configured_and_stops_nobody(name: str, setting: str, settings) -> None:
    setattr(settings, setting, "")
    assert registry.get(name).missing_settings() == [setting]
    assert name not in registry.configured()
    assert set(ALL) - {name} <= set(registry.configured())


def test_gateway_has_one_title_for_all_who_write_of_it() -> None:
    assert set(titles.TITLES) == set(registry.BUILDERS) == {*ALL, "stripe"}
    assert letters.gateway("mtn_momo") == titles.of("mtn_momo") == "MTN Mobile Money"
    assert titles.of("gone_by_now") == "Gone By Now"


def test_cards_are_taken_by_those_that_say_so() -> None:
    assert {name for name in registry.all() if registry.get(name).capabilities.takes_cards} == {"stripe", "paypal"}


def test_unknown_generation_of_cinetpay_is_not_configured(settings) -> None:
    settings.CINETPAY_API = "v3"
    assert registry.get("cinetpay").missing_settings() == ["CINETPAY_API"]


def test_v1_of_cinetpay_wants_its_own_credentials(settings) -> None:
    settings.CINETPAY_API, settings.CINETPAY_API_PASSWORD, settings.CINETPAY_SITE_ID = "v1", "", ""
    assert registry.get("cinetpay").missing_settings() == ["CINETPAY_API_PASSWORD"]


def test_disbursements_that_are_not_sold_to_us_are_not_declared(settings) -> None:
    settings.MTN_MOMO_DISBURSEMENT_KEY = ""
    capabilities = registry.get("mtn_momo").capabilities
    assert registry.get("mtn_momo").missing_settings() == []
    assert (capabilities.refund, capabilities.payout) == (False, frozenset())


def test_refunds_can_be_switched_off_where_the_market_has_none(settings) -> None:
    settings.MTN_MOMO_REFUNDS = False
    capabilities = registry.get("mtn_momo").capabilities
    assert (capabilities.refund, capabilities.payout) == (False, frozenset({DestinationKind.PHONE}))


@pytest.mark.parametrize("name", ALL)
def test_what_a_gateway_declares_it_can_do(name: str) -> None:
    gateway = registry.get(name)
    assert isinstance(gateway, OpensCheckout)
    assert isinstance(gateway, ReceivesWebhooks)
    assert isinstance(gateway, Refunds) is gateway.capabilities.refund
    assert isinstance(gateway, PaysOut) is bool(gateway.capabilities.payout)
    assert isinstance(gateway, Captures) is (name == "paypal")
    assert bool(gateway.capabilities.payout_currencies) is bool(gateway.capabilities.payout)
