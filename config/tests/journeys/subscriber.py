"""A customer of a plan that Stripe renews: what they do on its pages, and a clock that is here and there the same."""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.utils import timezone

from billing import invoices, tasks
from billing.models import Customer, GatewaySetting, Subscription
from billing.tests.subscribers import make_plan
from config.tests.journeys.shop import Shop
from credits import calendar
from credits.models import GrantRule

# A Monday, far enough to be ahead of any day on which this runs: the sandbox's clock only goes forward.
BEGIN = datetime(2035, 3, 5, 9, 0, tzinfo=UTC)
GOOD, FAILING = "4242424242424242", "4000000000000341"


def put_on_sale() -> None:
    """Premium gives 500 a week for 9.99 € a month; Elite the same and more for 19.99 €."""
    GrantRule.objects.create(code="weekly", catalogue="companions", amount=500, every="week", catch_up="all")
    make_plan("premium", {"month": 999}, grant_rules=["weekly"], entitlements={"hd_photos": True})
    make_plan("elite", {"month": 1_999}, grant_rules=["weekly"], entitlements={"hd_photos": True, "video": True})
    GatewaySetting.objects.get_or_create(name="stripe", defaults={"priority": 0})


@dataclass(kw_only=True)
class Subscriber:
    shop: Shop
    clock: time_machine.Traveller

    # ------------------------------------------------------------ time

    def hear(self) -> None:
        """Stripe's letters have come, and the workers do all that is due."""
        self.shop.hear("stripe")
        tasks.renew_due()
        tasks.expire_due()
        invoices.issue_missing()
        calendar.grant_due(at=timezone.now())  # the clock of the database does not travel

    def pass_time(self, **span: float) -> None:
        self.clock.shift(timedelta(**span))
        self.shop.sandbox.advance(timedelta(**span).total_seconds())
        self.hear()

    def pass_until(self, moment: datetime) -> None:
        """In steps of four weeks: what fell due in one of them is made up for at its end."""
        while (left := moment - timezone.now()) > timedelta(0):
            self.pass_time(seconds=min(left, timedelta(weeks=4)).total_seconds())

    # ------------------------------------------------------------ what the customer does

    def subscribe(self, plan: str = "premium") -> dict[str, Any]:
        wish = {"plan": plan, "currency": "EUR", "gateways": ["stripe"]}
        begun = self.shop.post("subscription", wish, **{"idempotency-key": f"start-{plan}"})
        assert begun.status_code == 201, begun.content
        return dict(begun.json())

    def change(self, plan: str, *, preview: bool = False) -> dict[str, Any]:
        key = f"change-{plan}-{preview}-{timezone.now().timestamp()}"
        answer = self.shop.post("subscription/change", {"plan": plan, "preview": preview}, **{"idempotency-key": key})
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def use_card(self, number: str) -> None:
        """On Stripe's own portal, to which our API leads."""
        url = self.shop.post("subscription/portal").json()["url"]
        page = visit(url, act="card", number=number, name="Ada")
        assert "This card is used from now on." in page
        self.hear()

    @property
    def seen(self) -> dict[str, Any]:
        return dict(self.shop.get("subscription"))

    @property
    def ours(self) -> Subscription:
        return Subscription.objects.select_related("price__plan").get(user=self.shop.user)


@contextmanager
def subscriber(shop: Shop) -> Iterator[Subscriber]:
    ahead = BEGIN.timestamp() - time.time()
    with time_machine.travel(BEGIN) as clock:
        shop.sandbox.advance(ahead)
        put_on_sale()
        Customer.objects.create(user=shop.user, time_zone="Europe/Paris", country="FR", email="ada@shop.example")
        yield Subscriber(shop=shop, clock=clock)


def visit(url: str, **form: str) -> str:
    """What a browser gets that opens the page, or sends its form."""
    body = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(url, data=body, timeout=20) as reply:
        return re.sub(r"\s+", " ", reply.read().decode())
