"""A plan whose truth at its gateway changes while letters tell of it: ours is what is true there, not what they say.

Each letter bears the subscription as it stood when it was written, as Stripe's do, and comes at that instant or later.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from billing.gateways.base import Hint, Letter
from billing.gateways.subscribing import InvoiceResult, InvoiceState, SubscriptionState
from billing.models import GatewayLetter, Payment, Subscription
from billing.tests.fakes import StandIn, send
from billing.tests.renewing import END, RenewingGateway, begin, read
from billing.tests.subscribers import BEGIN, fresh
from credits.models import Grant
from events.models import Event
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db

# What becomes true, one after the other: its name, Stripe's word for it, ours, and when.
LIFE = [
    ("created", "incomplete", "incomplete", BEGIN),
    ("paid", "active", "active", BEGIN),  # in the same second
    ("past_due", "past_due", "past_due", END),
    ("deleted", "canceled", "cancelled", END + timedelta(days=2)),
]
CHANGE_OF_MIND = [
    ("paid", "active", False, BEGIN),
    ("ends_later", "active", True, BEGIN + timedelta(days=1)),
    ("stays", "active", False, BEGIN + timedelta(days=1)),
]


class ChangingGateway(RenewingGateway):
    """Becomes one thing after the other, and keeps the letter that it wrote of each."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.written: list[dict[str, Any]] = []

    def created(self) -> None:
        self.is_paid()
        self.invoices["in_1"] = InvoiceResult(state=InvoiceState.OPEN, id="in_1")
        self.becomes_in(SubscriptionState.INCOMPLETE)

    def paid(self) -> None:
        self.is_paid()
        self.invoices["in_1"] = replace(self.invoices["in_1"], period_start=BEGIN, period_end=END)

    def past_due(self) -> None:
        self.invoices["in_2"] = InvoiceResult(state=InvoiceState.OPEN, id="in_2", total=Money(999, "EUR"))
        ends = END + timedelta(days=30)
        self.becomes_in(SubscriptionState.PAST_DUE, period_start=END, period_end=ends, latest_invoice="in_2")

    def deleted(self) -> None:
        self.becomes_in(SubscriptionState.CANCELLED)

    def ends_later(self) -> None:
        self.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=True)

    def stays(self) -> None:
        self.becomes_in(SubscriptionState.ACTIVE, cancel_at_period_end=False)

    def writes(self, kind: str, word: str, reference: str) -> None:
        """With the subscription as it stands, in the shape that Stripe gives it."""
        known, now = self.known, int(datetime.now(BEGIN.tzinfo).timestamp())
        assert known.period_start is not None
        assert known.period_end is not None
        item = {
            "id": known.item,
            "price": {"id": known.price, "unit_amount": 999, "currency": "eur"},
            "current_period_start": int(known.period_start.timestamp()),
            "current_period_end": int(known.period_end.timestamp()),
        }
        thing = {
            "object": "subscription",
            "id": known.id,
            "status": word,
            "items": {"data": [item]},
            "latest_invoice": known.latest_invoice,
            "cancel_at_period_end": known.cancel_at_period_end,
        }
        about = {"reference": reference, "subject": "subscription", "ids": {"subscription": known.id}}
        self.written.append({"id": f"evt_{kind}", "kind": kind, "created": now, "object": thing, **about})

    def read_letter(self, letter: Letter) -> list[Hint]:
        [hint] = super().read_letter(letter)
        [said] = [each for each in self.written if each["kind"] == hint.kind]
        return [replace(hint, occurred_at=datetime.fromtimestamp(said["created"], BEGIN.tzinfo))]


@pytest.fixture
def changing(stand_in: StandIn, on_sale: None) -> ChangingGateway:
    return stand_in(ChangingGateway("stripe"))


def story_of(order: Sequence[int], ahead: int) -> str:
    """What becomes true (+) and what arrives (a number): as early as its order allows, or when more is true already."""
    told, true = "", 0
    for number in order:
        wanted = max(true, min(number + 1 + ahead, len(order)))
        told, true = told + "+" * (wanted - true) + str(number), wanted
    return told


def stories(length: int) -> list[str]:
    return sorted({story_of(order, ahead) for order in itertools.permutations(range(length)) for ahead in (0, 1)})


def tell(gateway: ChangingGateway, number: int, *, again: str = "") -> None:
    said = gateway.written[number]
    assert send(gateway.letter(**said | {"id": said["id"] + again})).status_code == 200


def play(gateway: ChangingGateway, clock: time_machine.Traveller, steps: Sequence[Any], story: str, ours: str) -> Any:
    """Each letter comes twice; once it is read, that field of ours is as it stands at the gateway."""
    found = begin()
    for happens in story:
        if happens == "+":
            kind, word, _, at = steps[len(gateway.written)]
            clock.move_to(at)
            getattr(gateway, kind)()
            gateway.writes(kind, word, found.pk.hex)
            continue
        for _ in range(2):
            tell(gateway, int(happens))
        read()
        assert getattr(fresh(found), ours) == steps[len(gateway.written) - 1][2]
    return found


def standing(found: Subscription) -> tuple[str, datetime | None, int, int]:
    ours = fresh(found)
    return ours.status, ours.paid_until, Payment.objects.count(), Grant.objects.count()


@pytest.mark.parametrize("story", stories(len(LIFE)))
def test_ours_is_what_is_true_there_now_whatever_a_letter_says(changing, clock, story) -> None:
    """In every order of arrival; and when all is over, each comes once more under another name."""
    found = play(changing, clock, LIFE, story, "status")
    ended = standing(found)
    assert ended == ("cancelled", END, 1, 5)  # the five weeks that begin in the month that was paid for
    for number in range(len(LIFE)):
        tell(changing, number, again="_again")
    read()
    assert (standing(found), fresh(found).end_reason) == (ended, "at_gateway")
    assert list(GatewayLetter.objects.values_list("state", flat=True)) == ["done"] * 2 * len(LIFE)
    told = Event.objects.filter(type__in=["subscription.activated", "subscription.cancelled"]).order_by("id")
    assert list(told.values_list("type", flat=True)) == ["subscription.activated", "subscription.cancelled"]
    assert checks.faults() == {}


@pytest.mark.parametrize("story", stories(len(CHANGE_OF_MIND)))
def test_plan_that_stays_after_all_is_not_ended_by_an_old_letter(changing, clock, story) -> None:
    """Both wishes are of one second, so that not even the date of a letter says which was the last."""
    found = play(changing, clock, CHANGE_OF_MIND, story, "cancel_at_period_end")
    for number in (1, 0):
        tell(changing, number, again="_again")
    read()
    assert (standing(found), fresh(found).cancel_at_period_end) == (("active", END, 1, 1), False)
    assert GatewayLetter.objects.filter(state="done").count() == len(CHANGE_OF_MIND) + 2
