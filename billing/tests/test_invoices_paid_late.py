"""An invoice of a plan that is paid when a younger one was paid before it: its money is heard of as any other's is."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from billing import renewals, subscriptions
from billing.gateways.subscribing import InvoiceResult, InvoiceState, SubscriptionState
from billing.models import Case, GatewayLetter, Payment, Subscription
from billing.tests.fakes import send
from billing.tests.renewing import END, RenewingGateway, paid_once, read, write
from billing.tests.subscribers import BEGIN, fresh
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
MIDDLE, LATER = END + timedelta(days=30), END + timedelta(days=60)


def younger_paid_first(renewing: RenewingGateway) -> Subscription:
    """in_2 was declined; in_3, of the period after it, is paid."""
    found = paid_once(renewing)
    dates = {"period_start": END, "period_end": MIDDLE}
    open_one = InvoiceResult(state=InvoiceState.OPEN, id="in_2", total=Money(999, "EUR"))
    renewing.invoices |= {"in_1": replace(renewing.invoices["in_1"], period_start=BEGIN, period_end=END)}
    renewing.invoices |= {"in_2": open_one}
    renewing.becomes_in(SubscriptionState.PAST_DUE, **dates, latest_invoice="in_2")
    tell(found, "in_2", "payment_failed")
    assert fresh(found).status == "past_due"
    renewing.is_paid("in_3", MIDDLE, LATER)
    renewing.invoices["in_3"] = replace(renewing.invoices["in_3"], period_start=MIDDLE, period_end=LATER)
    tell(found, "in_3")
    assert (fresh(found).status, fresh(found).paid_until, Payment.objects.count()) == ("active", LATER, 2)
    return found


def pay_older(renewing: RenewingGateway) -> None:
    """On its page at the gateway, which says the same of the subscription as before."""
    paid = replace(renewing.invoices["in_2"], state=InvoiceState.PAID, paid=Money(999, "EUR"), paid_at=MIDDLE)
    renewing.invoices["in_2"] = replace(
        paid, period_start=END, period_end=MIDDLE, payment_intent="pi_2", subscription="sub_1"
    )


def tell(found: Subscription, invoice: str, kind: str = "paid", *, again: str = "") -> None:
    letter = {"id": f"evt_{invoice}_{kind}{again}", "kind": f"invoice.{kind}", "subject": "invoice"}
    ids = {"subscription": "sub_1", "invoice": invoice}
    send(RenewingGateway("stripe").letter(found.pk.hex, **letter, ids=ids))
    read()


def is_heard(found: Subscription) -> None:
    """One payment and its period; the plan of today is as it was."""
    assert (Payment.objects.count(), on("revenue:plans:EUR")) == (3, 3 * 999)
    assert sorted(fresh(found).paid_periods.values_list("starts_at", "ends_at")) == [
        (BEGIN, END), (END, MIDDLE), (MIDDLE, LATER),
    ]  # fmt: skip
    assert (fresh(found).status, fresh(found).period_start, fresh(found).paid_until) == ("active", MIDDLE, LATER)
    assert checks.faults() == {}


def test_older_invoice_is_heard_once_however_often_it_is_told(renewing) -> None:
    found = younger_paid_first(renewing)
    pay_older(renewing)
    for again in ("", "_again"):
        tell(found, "in_2", again=again)
        is_heard(found)


def test_letter_of_the_payment_alone_tells_of_it(renewing) -> None:
    found = younger_paid_first(renewing)
    pay_older(renewing)
    ids = {"payment_intent": "pi_2"}
    send(orjson.dumps({"id": "evt_pi", "kind": "payment", "reference": "", "subject": "payment", "ids": ids}))
    read()
    is_heard(found)
    assert Payment.objects.get(request_key="in_2").attempts.get().gateway_ids["payment_intent"] == "pi_2"


@pytest.mark.parametrize("is_first", [True, False])
def test_letter_beside_others_of_its_plan_tells_of_it(renewing, monkeypatch, is_first) -> None:
    """Letters that are read together are one question, unless one of them names what that question did not look at."""
    found = younger_paid_first(renewing)
    pay_older(renewing)
    asked, usual = [], renewing.fetch_subscription

    def fetch(ref: object) -> object:
        asked.append(ref)
        return usual(ref)

    monkeypatch.setattr(renewing, "fetch_subscription", fetch)
    ids = {"subscription": "sub_1", "invoice": "in_2"}
    named = {"id": "evt_named", "kind": "invoice.paid", "subject": "invoice", "ids": ids}
    if is_first:
        send(RenewingGateway("stripe").letter(found.pk.hex, **named))
    write(found, "updated")
    if not is_first:
        for number in range(3):
            send(RenewingGateway("stripe").letter(found.pk.hex, **named | {"id": f"evt_named_{number}"}))
    read()
    is_heard(found)
    assert len(asked) == (1 if is_first else 2)
    assert not GatewayLetter.objects.exclude(state="done").exists()


def test_look_of_every_day_finds_what_no_letter_told(renewing, clock) -> None:
    found = younger_paid_first(renewing)
    pay_older(renewing)
    looks = fresh(found).next_look_at
    assert looks is not None
    clock.move_to(looks)
    renewals.renew_due()
    assert (Payment.objects.count(), on("revenue:plans:EUR")) == (3, 3 * 999)
    assert checks.faults() == {}


def test_paid_after_the_end_it_is_money_that_people_decide_about(renewing) -> None:
    found = younger_paid_first(renewing)
    subscriptions.cancel_now(subscription=fresh(found))
    pay_older(renewing)
    tell(found, "in_2")
    assert (fresh(found).status, Payment.objects.count(), Case.objects.count()) == ("cancelled", 3, 1)
    assert checks.faults() == {}
