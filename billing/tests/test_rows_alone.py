"""Sweeps with two rows each, of which the first fails in a way that nobody thought of: the second has its turn."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import (
    inbox,
    invoice_files,
    invoice_mail,
    invoices,
    method_removals,
    method_setups,
    mirror,
    missed,
    readers,
    saved_methods,
    seller_days,
    taxing,
    top_up,
    top_up_charges,
    usage_invoices,
    vat_numbers,
)
from billing.gateways import registry
from billing.gateways.base import SavedMethod as Told
from billing.models import (
    GatewayCustomer,
    GatewayLetter,
    Invoice,
    InvoiceMailing,
    MethodSetup,
    SavedMethod,
    TopUp,
    TopUpCharge,
)
from billing.tests import shop
from billing.tests.fakes import KeepingGateway
from billing.tests.papers import known, later
from billing.tests.test_sweeps import Trip, fault, swept, trip
from billing.tests.topping import agree
from credits import usage
from events import letters, mail
from events.models import Kind, Message
from ledger import transfers
from ledger.models import Entry
from wallets import sales
from wallets.models import Seller
from wallets.tests import people

__all__ = ["fault", "trip"]
pytestmark = pytest.mark.django_db
GERMAN = ("DE136695976", "DE129273398")
Sweep = Callable[[], Any]


@pytest.fixture
def mailed(settings) -> None:
    settings.INVOICE_MAIL = True


def two_letters(stripe: Any, **_: Any) -> Sweep:
    for name in ("evt_1", "evt_2"):
        GatewayLetter.objects.create(gateway="stripe", event_id=name, kind="x", subject="other", trust="signed")
    return inbox.drain


def two_to_mirror(stripe: Any, monkeypatch: pytest.MonkeyPatch, **_: Any) -> Sweep:
    monkeypatch.setattr(mirror, "ready", lambda: True)
    monkeypatch.setattr(mirror, "_prepare", lambda: None)
    two_letters(stripe)
    return mirror.work_through


def two_who_list_events(monkeypatch: pytest.MonkeyPatch, **_: Any) -> Sweep:
    class Listing:
        def undelivered(self, *, since: datetime) -> list[Any]:
            return []

    monkeypatch.setattr(registry, "configured", lambda: {"stripe": Listing(), "paypal": Listing()})
    return missed.collect


def two_paid(stripe: Any, **_: Any) -> Sweep:
    for _number in range(2):
        shop.paid(stripe, known(email="awa@example.org"))
    return invoices.issue_missing


def two_to_render(stripe: Any, **_: Any) -> Sweep:
    two_paid(stripe)()
    return invoice_files.render_due


def two_to_mail(stripe: Any, **_: Any) -> Sweep:
    two_to_render(stripe)()
    InvoiceMailing.objects.all().delete()
    for invoice in Invoice.objects.all():
        invoice_mail.request(invoice=invoice)
    return invoice_mail.send_due


def two_months(stripe: Any, **_: Any) -> Sweep:
    two_paid(stripe)()
    for invoice in Invoice.objects.select_related("user"):
        usage.spend(user=invoice.user, amount=100, key=f"s-{invoice.user_id}")
    return lambda: usage_invoices.issue_due(now=later())


def two_cards() -> None:
    """Of two customers, both kept."""
    for number in ("1", "2"):
        user = shop.make_user()
        GatewayCustomer.objects.create(user=user, gateway="stripe", gateway_id=f"cus_{number}")
        saved_methods.remember(user=user, gateway="stripe", method=Told(id=f"pm_{number}"))


def two_setups(**_: Any) -> Sweep:
    for _number in range(2):
        method_setups.start(user=shop.make_user())
    MethodSetup.objects.update(next_ask_at=timezone.now())
    return method_setups.ask_due


def two_to_forget(**_: Any) -> Sweep:
    two_cards()
    SavedMethod.objects.update(removed_at=timezone.now())
    return method_removals.forget_removed


def two_with_few_credits(**_: Any) -> Sweep:
    shop.make_pack()
    two_cards()
    for method in SavedMethod.objects.select_related("user"):
        agree(method.user)
    return top_up_charges.work_through


def two_numbers(monkeypatch: pytest.MonkeyPatch, **_: Any) -> Sweep:
    monkeypatch.setattr(vat_numbers, "_ask", lambda number: {"valid": True})
    for number in GERMAN:
        known(country="DE", vat_number=number)
    return vat_numbers.check_due


def two_sellers(**_: Any) -> Sweep:
    people.make_rule(basis_points=0, clearing_days=0)
    for _number in range(2):
        people.sell(people.make_user(), 1_000)
    Seller.objects.update(reserve_basis_points=1_000, reserve_days=30)
    return lambda: sales.release_due(people.FAR_AWAY)


def two_reserves(**_: Any) -> Sweep:
    two_sellers()()
    return lambda: sales.free_due(people.FAR_AWAY + timedelta(days=365))


def two_mails(**_: Any) -> Sweep:
    facts = {"endpoint": "e", "url": "u", "reason": "gone", "disabled_at": timezone.now().isoformat()}
    for key in ("1", "2"):
        Message.objects.create(
            key=key, kind=Kind.ENDPOINT_DISABLED, address=f"{key}@example.com", locale="en", data=facts
        )
    return mail.send_due


SWEEPS: dict[str, tuple[Callable[..., Sweep], Any, str]] = {  # two rows, and what fails for the first of them
    "inbox": (two_letters, readers, "read"),
    "mirror": (two_to_mirror, mirror, "_follow"),
    "what never came": (two_who_list_events, inbox, "store"),
    "invoices": (two_paid, invoices, "treatment_of"),
    "papers": (two_to_render, invoice_files, "documents"),
    "papers kept": (two_to_render, invoice_mail, "request"),
    "papers by mail": (two_to_mail, invoice_mail, "compose"),
    "months of use": (two_months, taxing, "decide"),
    "cards being saved": (two_setups, KeepingGateway, "fetch_setup"),
    "cards removed": (two_to_forget, KeepingGateway, "forget_method"),
    "top-ups": (two_with_few_credits, KeepingGateway, "charge"),
    "VAT numbers": (two_numbers, vat_numbers, "_ask"),
    "sales": (two_sellers, transfers, "post"),
    "reserves": (two_reserves, transfers, "post"),
    "mails": (two_mails, letters, "compose"),
}


@pytest.mark.usefixtures("at_use", "mailed")
@pytest.mark.parametrize("name", SWEEPS)
def test_row_that_fails_keeps_nobody_waiting_behind_it(
    name: str, stand_in: Any, monkeypatch: pytest.MonkeyPatch, trip: Trip, fault: BaseException
) -> None:
    arrange, module, act = SWEEPS[name]
    sweep = arrange(stripe=stand_in(KeepingGateway("stripe")), monkeypatch=monkeypatch)
    turns: list[str] = []

    def is_first(*_args: Any, **_facts: Any) -> bool:
        turns.append(name)
        return len(turns) == 1

    trip(module, act, is_first, fault)
    went_on = swept(sweep, fault)
    assert len(turns) == 1 + went_on


def test_month_that_cannot_be_taxed_is_not_invoiced_with_a_later_one(stripe: Any, at_use: None, trip: Trip) -> None:
    """Its tax was due then: the later ones wait for it."""
    two_months(stripe)
    used_in = seller_days.here(Entry.objects.latest("pk").created_at).date().replace(day=1)
    later_still = timezone.now() + timedelta(days=64)
    turns = iter([True, True])  # one for each buyer
    trip(taxing, "decide", lambda **_: next(turns, False))
    assert usage_invoices.issue_due(now=later_still) == 0
    assert usage_invoices.issue_due(now=later_still) == 2
    assert set(Invoice.objects.filter(kind="invoice").values_list("month", flat=True)) == {used_in}


def test_mail_that_cannot_be_written_is_given_up_at_last(stripe: Any, french: None, trip: Trip, settings: Any) -> None:
    settings.INVOICE_MAIL_TRIES = 2
    sweep = two_to_mail(stripe)
    trip(invoice_mail, "compose", lambda mailing, file: True)
    for left in (2, 0):
        InvoiceMailing.objects.update(next_try_at=timezone.now())
        sweep()
        assert InvoiceMailing.objects.filter(next_try_at__isnull=False, error="ZeroDivisionError").count() == left


def test_card_of_a_gateway_that_is_gone_is_taken_out_all_the_same(gateways: Any) -> None:
    two_cards()
    SavedMethod.objects.update(gateway="gone")
    method = SavedMethod.objects.select_related("user")[0]
    method_removals.remove(method=method)
    method.refresh_from_db()
    assert (method.removed_at is not None, method.forgotten_at) == (True, None)
    assert method_removals.forget_removed() == 1


def test_consent_that_was_withdrawn_while_its_charge_failed_is_put_off_by_nobody(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = two_with_few_credits(stripe=stand_in(KeepingGateway("stripe")))
    first, other = TopUp.objects.order_by("pk").select_related("user")
    usual = top_up_charges.charge

    def charge(seen: TopUp, now: datetime) -> Any:
        if seen == first:
            top_up.withdraw(user=first.user, by="customer")
            raise ZeroDivisionError("ours")
        return usual(seen, now)

    monkeypatch.setattr(top_up_charges, "charge", charge)
    assert sweep() == 1
    first.refresh_from_db()
    assert (first.withdrawn_at is not None, first.next_try_at) == (True, None)
    assert TopUpCharge.objects.get().user == other.user
