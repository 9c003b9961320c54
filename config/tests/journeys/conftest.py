"""The shop of each journey, and Ada, who comes to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.gateways import registry
from billing.models import GatewaySetting
from config.tests.journeys.shop import Shop, connect
from config.tests.journeys.subscriber import Subscriber, subscriber
from sandbox.testing import Sandbox


@pytest.fixture
def shop(transactional_db, live_server, sandbox: Sandbox, settings) -> Iterator[Shop]:
    connect(sandbox, settings, live_server.url)
    yield Shop(sandbox=sandbox, user=User.objects.create(username="ada"))
    registry.forget()


@pytest.fixture
def at_stripe(shop: Shop, settings: Any) -> None:
    """Stripe is on, and leads back to a page of ours that is there."""
    settings.CHECKOUT_SUCCESS_URL = f"{settings.BASE_URL}/"
    GatewaySetting.objects.get_or_create(name="stripe", defaults={"priority": 0})


@pytest.fixture
def ada(shop: Shop) -> Iterator[Subscriber]:
    with subscriber(shop) as person:
        yield person
