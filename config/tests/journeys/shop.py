"""A shop in a test: our server on a port of its own, and five gateways in a process of theirs, which write to it."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from billing import tasks
from billing.gateways import registry
from billing.tests import shop as counter
from credits.models import Pack
from rest.tests.callers import customer
from sandbox.testing import Sandbox

BASES = {
    "STRIPE_API_BASE": "stripe",
    "STRIPE_FILES_BASE": "stripe",
    "PAYPAL_API_BASE": "paypal",
    "CINETPAY_API_BASE": "cinetpay",
    "CINETPAY_TRANSFER_API_BASE": "cinetpay",
    "MTN_MOMO_API_BASE": "mtn_momo",
    "ORANGE_MONEY_API_BASE": "orange_money",
}
WRITES_TO_ONE_ADDRESS = ("stripe", "paypal")


@dataclass(kw_only=True)
class Shop:
    """What a buyer, the sandbox's control and a worker can do; everything else is seen over HTTP."""

    sandbox: Sandbox
    user: User
    browser: Client = field(default_factory=Client)  # one for all: each new one loads the middleware again

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        sent = json.dumps(body or {})
        return self.browser.post(
            f"/api/v1/{path}", sent, content_type="application/json", headers=customer(self.user) | headers
        )

    def get(self, path: str) -> Any:
        return self.browser.get(f"/api/v1/{path}", headers=customer(self.user)).json()

    def checkout(self, gateway: str, currency: str, key: str = "key-1", **body: Any) -> Any:
        wish = {"pack": "medium", "currency": currency, "gateways": [gateway], "phone": "+237670000001"}
        return self.post("checkouts", wish | body, **{"idempotency-key": key})

    def play(self, checkout: dict[str, Any], act: str = "pay") -> None:
        self.sandbox.play(checkout["next_action"], act)

    def hear(self, gateway: str) -> None:
        """The gateway's letters have come, and the worker reads them."""
        self.sandbox.letters(gateway)
        tasks.drain_inbox()

    def balance(self) -> int:
        return int(self.get("credits/balance")["available"])


def sandbox_environment(sandbox: Sandbox) -> dict[str, str]:
    """What a process of its own must know to find the five gateways."""
    return {name: sandbox.base(gateway) for name, gateway in BASES.items()} | {"GATEWAY_TRIES": "1"}


def connect(sandbox: Sandbox, settings: Any, url: str) -> None:
    """The gateways are the sandbox's, and write to this address of ours."""
    settings.BASE_URL = url
    for name, gateway in BASES.items():
        setattr(settings, name, sandbox.base(gateway))
    settings.GATEWAY_TRIES = 1  # a second try would wait
    registry.forget()
    for gateway in WRITES_TO_ONE_ADDRESS:
        sandbox.configure(gateway, webhook_url=f"{url}/webhooks/{gateway}")
    make_pack()


def make_pack() -> Pack:
    """Pack Medium: 250 tokens and 25 for nothing."""
    pack = counter.make_pack()
    counter.make_price(pack, "XAF", 6_500)
    return pack
