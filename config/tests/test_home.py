import datetime
from html import unescape
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing import cases
from billing.models import Attempt, Case, Discrepancy, GatewayLetter, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.reconciling import Resolution
from config import home, needs
from credits import purses
from credits.models import Purse
from credits.tests.people import give, make_user
from events.models import Delivery, Endpoint, Event, Message
from ledger.models import Account
from ledger.money import Money
from rest.models import ServiceToken
from wallets import adjustments
from wallets.models import Wallet
from wallets.tests.people import ask, make_rule, sell_cleared
from wallets.tests.people import make_user as make_seller


def token(name: str, *, days: float, revoked: bool = False) -> ServiceToken:
    now = timezone.now()
    return ServiceToken.objects.create(
        name=name,
        prefix=f"tl_{name:0<8}"[:11],
        digest=name.encode().hex().ljust(64, "0"),
        created_at=now - datetime.timedelta(days=100),
        expires_at=now + datetime.timedelta(days=days),
        revoked_at=now if revoked else None,
    )


def test_tokens_that_expire_soon_are_named(as_root: Client, settings) -> None:
    settings.SERVICE_TOKEN_WARNING_DAYS = 14
    token("late", days=15)
    token("gone", days=-1)
    token("dead", days=3, revoked=True)
    token("shop", days=13)
    token("soon", days=1)
    found = home.expiring_tokens()
    assert [need.label.split()[0] for need in found.first] == ["soon", "shop"]
    assert found.total == 2
    page = as_root.get("/admin/").content.decode()
    assert "soon (tl_soon" in page
    assert "Service tokens that expire soon" in page


def test_operators_without_a_second_factor_are_named(as_root: Client) -> None:
    safe = User.objects.create_user("safe", is_staff=True)
    Authenticator.objects.create(user=safe, type="totp", data={})
    codes_only = User.objects.create_user("codes", is_staff=True)
    Authenticator.objects.create(user=codes_only, type="recovery_codes", data={})
    User.objects.create_user("left", is_staff=True, is_active=False)
    User.objects.create_user("customer")
    assert [need.label for need in home.unprotected_operators().first] == ["codes", "root"]


def test_long_list_shows_its_first_and_a_way_to_the_rest(as_root: Client) -> None:
    for number in range(needs.ROWS_SHOWN + 2):
        User.objects.create_user(f"operator-{number}", is_staff=True)
    page = as_root.get("/admin/").content.decode()
    found = home.unprotected_operators()
    assert (found.total, len(found.first)) == (needs.ROWS_SHOWN + 3, needs.ROWS_SHOWN)
    assert f'href="{found.more_url}"' in page


def of_a_payment() -> dict[str, Payment]:
    buyer = User.objects.create(username="ann")
    made = Payment.objects.create(user=buyer, kind="amount", amount_minor=5, currency="EUR", expires_at=timezone.now())
    return {"payment": made}


def test_open_cases_stand_first_with_a_way_to_them(as_root: Client) -> None:
    about = of_a_payment()
    case = Case.objects.create(kind="payout", key="one", facts={"why": "paypal has not said"}, **about)
    Case.objects.create(kind="surplus", key="two", **about, closed_at=timezone.now(), resolution="given back")
    found = home.open_cases()
    assert (found.total, found.first[0].detail) == (1, "paypal has not said")
    page = as_root.get("/admin/").content.decode()
    assert f"/admin/billing/case/{case.pk}/change/" in page
    assert as_root.get(found.more_url).context["cl"].result_count == 1


def test_amounts_are_written_in_the_language_of_the_page(as_root: Client) -> None:
    make_rule(basis_points=0)
    seller = make_seller()
    sell_cleared(seller, 10_000)
    withdrawal = ask(seller, 4_000)
    Case.objects.create(kind="payout", key="one", facts={"amount": "19.00 EUR"}, **of_a_payment())
    page = unescape(as_root.get("/admin/", headers={"Accept-Language": "fr"}).content.decode())
    assert "40,00\xa0€" in page
    assert "19,00\xa0€" in page
    form = as_root.get(f"/admin/wallets/withdrawal/{withdrawal.pk}/approve/").content.decode()
    assert "€40.00</p>" in form


def gateway_event(state: str, *, days: float = 0) -> GatewayLetter:
    return GatewayLetter.objects.create(
        gateway="stripe",
        event_id=f"evt_{GatewayLetter.objects.count()}",
        kind="charge.updated",
        subject="payment",
        trust="signed",
        state=state,
        error="No such charge" if state == "dead" else "",
        received_at=timezone.now() - datetime.timedelta(days=days),
    )


def listed(client: Client, found: needs.Found) -> list[Any]:
    """What the link to all of them shows."""
    return list(client.get(found.more_url).context["cl"].result_list)


def test_gateway_events_that_nobody_could_read_wait_and_old_ones_do_not_for_ever(as_root: Client, settings) -> None:
    settings.HOME_LOOKS_BACK_DAYS = 14
    for state in ("pending", "done", "ignored"):
        gateway_event(state)
    old, dead, unknown = gateway_event("dead", days=15), gateway_event("dead", days=13), gateway_event("unknown")
    found = needs.unread_letters()
    assert [(need.url, str(need.detail)) for need in found.first] == [
        (f"/admin/billing/gatewayletter/{unknown.pk}/change/", "about nothing we know"),
        (f"/admin/billing/gatewayletter/{dead.pk}/change/", "No such charge"),
    ]
    assert found.total == 2
    assert listed(as_root, found) == [unknown, dead, old]
    assert "Gateway events that nobody could read" in as_root.get("/admin/").text


def test_adjustment_of_one_person_waits_for_another(as_root: Client, settings) -> None:
    settings.WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = {"EUR": 1}
    make_rule(basis_points=0)
    sell_cleared(make_seller(), 10_000)
    made = adjustments.request(
        wallet=Wallet.objects.get(),
        amount=Money(5_000, "EUR"),
        reason="promised",
        key="one",
        by=User.objects.create_user("olive", is_staff=True),
    )
    found = needs.adjustments_to_agree_to()
    assert [need.detail for need in found.first] == ["€50.00, asked for by olive"]
    assert listed(as_root, found) == [made]
    adjustments.approve(adjustment=made, by=User.objects.get(username="root"))
    assert needs.adjustments_to_agree_to().total == 0


def test_exceptions_of_reconciliation_wait_until_they_are_resolved(as_root: Client) -> None:
    day = datetime.date(2026, 11, 3)
    made = Discrepancy.objects.create(
        key="one",
        gateway="stripe",
        day=day,
        kind="payment",
        outcome="missing_here",
        theirs_minor=5,
        their_currency="EUR",
    )
    found = needs.open_discrepancies()
    assert [(need.label, listed(as_root, found)) for need in found.first] == [("stripe 2026-11-03", [made])]
    Discrepancy.objects.update(closed_at=timezone.now(), resolution=Resolution.values[0])
    assert needs.open_discrepancies().total == 0


def test_refund_by_hand_waits_also_when_its_case_was_closed_without_it(as_root: Client) -> None:
    payment = of_a_payment()["payment"]
    attempt = Attempt.objects.create(payment=payment, gateway="cinetpay", notify_token="one")
    refund = Refund.objects.create(
        payment=payment, attempt=attempt, policy="goodwill", amount_minor=5, currency="EUR", status="manual"
    )
    case = cases.open(kind=CaseKind.MANUAL_REFUND, payment=payment, key=f"refund:{refund.pk}")
    assert needs.refunds_without_a_case().total == 0
    cases.close(case=case, resolution="done", by=User.objects.get(username="root"))
    found = needs.refunds_without_a_case()
    assert [(need.label, need.detail) for need in found.first] == [("ann", "€0.05")]
    assert listed(as_root, found) == [refund]
    Refund.objects.update(status="cancelled")
    assert needs.refunds_without_a_case().total == 0


def test_emails_that_did_not_go_out_and_webhooks_that_nobody_took_wait(as_root: Client) -> None:
    kept = {"kind": "receipt", "address": "ann@shop.example", "locale": "en"}
    failed = Message.objects.create(key="one", state="failed", error="mailbox unknown", **kept)
    Message.objects.create(key="two", state="queued", **kept)
    found = needs.failed_letters()
    assert [(need.label, need.detail) for need in found.first] == [("ann@shop.example", "mailbox unknown")]
    assert listed(as_root, found) == [failed]
    event = Event.objects.create(user=User.objects.create(username="bea"), type="payment.succeeded", data={})
    endpoint = Endpoint.objects.create(url="https://shop.example/hook")
    dead = Delivery.objects.create(endpoint=endpoint, event=event, state="dead")
    found = needs.dead_deliveries()
    assert [need.label for need in found.first] == ["https://shop.example/hook"]
    assert listed(as_root, found) == [dead]
    text = as_root.get("/admin/").text
    assert "E-mails that did not go out" in text
    assert "Webhooks that nobody took" in text
    Delivery.objects.update(due_at=timezone.now() - datetime.timedelta(days=400))
    assert needs.dead_deliveries().total == 0


def test_debtors_are_found_from_the_few_purses_that_can_owe(as_root: Client) -> None:
    Account.objects.bulk_create(Account(name=f"grant:{number}", unit="CREDIT", guarded=True) for number in range(5_000))
    people = User.objects.bulk_create(User(username=f"ann-{number}") for number in range(2_000))
    Purse.objects.bulk_create(Purse(user=user, unit="CREDIT") for user in people)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE ledger_account, credits_purse")
    plan = purses.in_debt().explain()
    assert "Index Cond: (debt_account_id IS NOT NULL)" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("index", ["gateway_letter_to_look_at", "refund_by_hand", "message_failed"])
def test_what_the_home_page_asks_has_its_index(as_root: Client, index: str) -> None:
    with CaptureQueriesContext(connection) as asked:
        for find in (needs.unread_letters, needs.refunds_without_a_case, needs.failed_letters):
            find()
    plans = []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in asked:
            cursor.execute("EXPLAIN " + query["sql"])
            plans.append(str(cursor.fetchall()))
    assert index in "".join(plans)


def test_calm_home_says_so(db, client: Client) -> None:
    person = User.objects.create_user("olive", is_staff=True)
    client.force_login(person)
    page = client.get("/admin/").content.decode()
    assert "Nothing needs attention" in page
    assert "Operators without a second factor" not in page
    assert "What operators did lately" not in page


def test_acts_stand_with_their_operator(as_root: Client) -> None:
    assert "Nothing yet." in as_root.get("/admin/").content.decode()  # a command made root
    as_root.post("/admin/auth/group/add/", {"name": "night shift"})
    acts = as_root.get("/admin/").context["acts"]
    assert (str(acts[0].user), acts[0].object_repr) == ("root", "night shift")


def test_what_a_button_did_stands_there_in_its_words(as_root: Client) -> None:
    user = make_user()
    give(user, 10)
    purse = Purse.objects.get(user=user)
    path = reverse("admin:credits_purse_adjust", args=[purse.pk])
    key = as_root.get(path).context["form"]["key"].value()
    as_root.post(path, {"direction": "more", "amount": "5", "reason": "lost in an outage", "key": key})
    home_page = as_root.get("/admin/")
    assert [(act.user.username, act.object_repr) for act in home_page.context["acts"]] == [
        ("root", f"{user.username} CREDIT")
    ]
    assert home_page.context["acts"][0].get_change_message() in unescape(home_page.content.decode())
    assert f"/admin/credits/purse/{purse.pk}/change/" in home_page.content.decode()


def test_home_speaks_french(as_root: Client) -> None:
    page = as_root.get("/admin/", headers={"Accept-Language": "fr"}).content.decode()
    assert "Opérateurs sans second facteur" in page
    assert "Miroir Stripe" in page
