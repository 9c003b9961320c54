"""The box that finds anything, the page of one customer, and the ways from one page to the next."""

import uuid
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing import customers, tasks
from billing.models import Attempt, Case, Customer, Dispute, GatewayLetter, Invoice, Payment, Refund, Subscription
from billing.tests import shop
from billing.tests.conftest import french, gateways, stripe
from billing.tests.papers import known
from billing.tests.paying import approved
from billing.tests.subscribers import make_plan
from config import navigation
from credits.models import Grant, Purse
from credits.tests.people import give
from credits.tests.people import make_user as make_customer
from events.models import Message
from rest.links import page_of
from rest.tests.operators import signed_in
from wallets.models import Withdrawal

__all__ = ["french", "gateways", "stripe"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def support() -> Client:
    return signed_in("support")


def bought_by(username: str, email: str = "") -> Payment:
    user = User.objects.create(username=username)
    if email:
        customers.change(customers.get(user), by=user, email=email, name=f"Name of {username}")
    payment = Payment.objects.create(
        user=user, kind="amount", amount_minor=500, currency="EUR", expires_at=timezone.now(), description="Five"
    )
    ids = {"payment_intent": f"pi_{user.pk}"}
    attempt = Attempt.objects.create(payment=payment, gateway="stripe", gateway_ids=ids, notify_token=username)
    Refund.objects.create(payment=payment, attempt=attempt, policy="goodwill", amount_minor=5, currency="EUR")
    return payment


def find(client: Client, words: str) -> Any:
    return client.get(reverse("admin:find"), {"q": words})


def led_to(client: Client, words: str) -> str:
    answer = find(client, words)
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


# ---------------------------------------------------------------- the box


def test_one_thing_that_fits_is_opened_whatever_of_it_is_typed(support: Client) -> None:
    payment = bought_by("ann/7", "Ann@Shop.example")
    bought_by("bea")
    attempt, refund = payment.attempts.get(), payment.refunds.get()
    for words in (
        str(payment.pk),
        f"  {str(payment.pk).upper()} ",
        str(attempt.pk),
        attempt.reference,
        f"pi_{payment.user_id}",
    ):
        assert led_to(support, words) == page_of(payment)
    assert led_to(support, str(refund.pk)) == page_of(refund)
    for words in ("ann/7", "ann@SHOP.example", "ann"):
        assert led_to(support, words) == reverse("admin:billing_customer_change", args=[payment.user_id])


def test_number_of_an_invoice_leads_to_it_also_in_small_letters(stripe, french, support: Client) -> None:
    shop.paid(stripe, known())
    tasks.issue_invoices()
    invoice = Invoice.objects.get()
    assert led_to(support, invoice.number) == led_to(support, invoice.number.lower()) == page_of(invoice)


def test_several_are_listed_with_what_they_are(support: Client) -> None:
    first, second = bought_by("ann-1", "shared@shop.example"), bought_by("ann-2", "shared@shop.example")
    page = find(support, "shared@shop.example")
    text = unescape(page.content.decode())
    assert "2 results" in text
    for each in (first, second):
        assert page_of(Customer.objects.get(pk=each.user_id)) in text
        assert f"{each.user.username} · Name of {each.user.username} · shared@shop.example" in text


def test_nothing_is_said_clearly_with_a_way_on(support: Client) -> None:
    text = unescape(find(support, "<nobody>").content.decode())
    assert "Nothing is called “<nobody>”" in text
    assert "/admin/billing/customer/?q=%3Cnobody%3E" in text
    french_text = unescape(support.get(reverse("admin:find"), {"q": "xyz"}, headers={"accept-language": "fr"}).text)
    assert "Rien ne s’appelle « xyz »" in french_text


def test_empty_box_asks_nothing(support: Client) -> None:
    bought_by("ann")
    for words in ("", "   "):
        page = find(support, words)
        assert page.status_code == 200
        assert "Nothing is called" not in page.content.decode()


def test_nobody_finds_what_they_may_not_see() -> None:
    payment = bought_by("ann", "ann@shop.example")
    stranger = User.objects.create_user("stranger", is_staff=True)
    client = Client()
    client.force_login(stranger)
    for words in (str(payment.pk), "ann", "ann@shop.example", f"pi_{payment.user_id}"):
        assert "Nothing is called" in find(client, words).content.decode()
    assert Client().get(reverse("admin:find"), {"q": "ann"})["Location"].startswith("/admin/login/")


def test_user_id_that_is_a_uuid_and_events_of_gateways_are_found(support: Client) -> None:
    user = User.objects.create(username=str(uuid.uuid4()))
    assert led_to(support, user.username) == reverse("admin:billing_customer_change", args=[user.pk])
    letter = GatewayLetter.objects.create(gateway="stripe", event_id="evt_1", kind="x", subject="other", trust="signed")
    assert find(support, "evt_1").status_code == 200  # support may not see them
    assert led_to(signed_in(name="root", is_superuser=True), "evt_1") == page_of(letter)


def test_the_box_stands_on_the_home_page_and_works_without_javascript(support: Client) -> None:
    text = support.get("/admin/").content.decode()
    assert f'<form class="find" method="get" action="{reverse("admin:find")}" role="search">' in text
    assert 'type="search" name="q"' in text


# ---------------------------------------------------------------- the customer's page


def belongings(client: Client, user: User) -> str:
    answer = client.get(reverse("admin:billing_customer_change", args=[user.pk]))
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_page_of_a_customer_has_everything_with_its_link(support: Client) -> None:
    payment = bought_by("ann", "ann@shop.example")
    user, refund = payment.user, payment.refunds.get()
    give(user, 25)
    case = Case.objects.create(kind="surplus", key="one", payment=payment, facts={"why": "paid twice"})
    letter = Message.objects.create(
        key="m", kind="receipt", user=user, address="ann@shop.example", locale="en", subject="Hello"
    )
    text = belongings(support, user)
    for thing in (payment, refund, case, letter, Purse.objects.get(user=user)):
        assert page_of(thing) in text
    for said in ("25", "€5.00 Five", "paid twice", "Hello", "No plan.", "No invoice."):
        assert said in text
    assert "Wallets as a seller" not in text
    assert f'/admin/billing/customer/{user.pk}/give/"' in text


def test_page_of_a_customer_opens_while_a_plan_is_being_begun(support: Client) -> None:
    """Nothing of it is paid yet, so it is paid until no day."""
    plan = make_plan("premium", {"month": 999})
    user = make_customer()
    Subscription.objects.create(user=user, catalogue=plan.catalogue, price=plan.prices.get(), time_zone="UTC")
    assert "premium" in belongings(support, user)


def test_reference_that_a_caller_chose_finds_its_payment_and_hides_nobodys(support: Client) -> None:
    """It may be another customer's user id, by chance or not."""
    anns, other = bought_by("ann"), bought_by("bea")
    Payment.objects.filter(pk=other.pk).update(reference="order 7")
    assert led_to(support, "order 7") == page_of(other)
    Payment.objects.filter(pk=other.pk).update(reference="ann")
    listed = support.get(reverse("admin:billing_payment_changelist"), {"q": "ann"}).context["cl"].result_list
    assert [each.pk for each in listed] == [anns.pk]
    assert find(support, "ann").status_code == 200  # both are shown
    assert page_of(other) in find(support, "ann").content.decode()


def test_customer_without_anything_is_told_so_and_a_look_writes_nothing(support: Client) -> None:
    user = User.objects.create(username="new")
    text = belongings(support, user)
    for said in (
        "No credits, and none ever.",
        "Nothing bought.",
        "Nothing given back.",
        "No case is open.",
        "Nothing was written to them.",
    ):
        assert said in text
    assert not Customer.objects.exists()
    fields = {"name": "Nina", "locale": "en", "time_zone": "UTC"}
    assert support.post(reverse("admin:billing_customer_change", args=[user.pk]), fields).status_code == 302
    assert Customer.objects.get().name == "Nina"
    for nobody in ("999999999", "99999999999999999999", "x"):
        assert support.get(f"/admin/billing/customer/{nobody}/change/").status_code == 302


def test_each_part_is_for_those_who_may_see_it_and_the_button_for_those_who_may_give(support: Client) -> None:
    payment = bought_by("ann")
    Case.objects.create(kind="surplus", key="one", payment=payment)
    assert "Open cases" in belongings(support, payment.user)
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.set(Group.objects.get(name="support").permissions.filter(codename="view_customer"))
    client = Client()
    client.force_login(clerk)
    text = belongings(client, payment.user)
    assert "Open cases" not in text
    assert "Latest payments" not in text
    assert "/give/" not in text
    assert client.get(f"/admin/billing/customer/{payment.user_id}/give/").status_code == 403


def test_button_brings_the_customer_into_the_form(support: Client) -> None:
    user = make_customer()
    answer = support.get(f"/admin/billing/customer/{user.pk}/give/", follow=True)
    assert answer.context["form"]["user"].value() == user.username


def test_long_history_is_cut_with_a_way_to_the_rest_and_asks_no_more(support: Client) -> None:
    payment = bought_by("ann")
    with CaptureQueriesContext(connection) as few:
        belongings(support, payment.user)
    for number in range(12):
        Payment.objects.create(
            user=payment.user, kind="amount", amount_minor=number + 1, currency="EUR", expires_at=timezone.now()
        )
    with CaptureQueriesContext(connection) as many:
        text = belongings(support, payment.user)
    assert "/admin/billing/payment/?q=ann" in text
    assert len(many) <= len(few)


def test_page_of_a_customer_has_what_their_bank_disputes(support: Client) -> None:
    payment, others = bought_by("ann"), bought_by("bea")
    before = belongings(support, payment.user).count("Disputes")  # in the menu
    for each, number in ((payment, "dp_1"), (others, "dp_2")):
        facts = {"gateway": "stripe", "gateway_id": number, "amount_minor": 321, "currency": "EUR"}
        Dispute.objects.create(payment=each, attempt=each.attempts.get(), **facts)
    text = belongings(support, payment.user)
    assert (text.count("Disputes"), "€3.21" in text) == (before + 1, True)
    assert [page_of(each.disputes.get()) in text for each in (payment, others)] == [True, False]


def test_page_of_a_seller_has_their_wallets(support: Client) -> None:
    seller = approved().wallet.seller
    assert "Wallets as a seller" in belongings(support, seller.user)


def test_customer_of_a_list_leads_to_their_page(support: Client) -> None:
    payment = bought_by("ann")
    give(payment.user, 5)
    link = f'<a class="underline" href="{reverse("admin:billing_customer_change", args=[payment.user_id])}">ann</a>'
    for label in ("billing_payment", "credits_purse", "credits_grant"):
        row = support.get(reverse(f"admin:{label}_changelist")).content.decode()
        assert link in row
    grant = Grant.objects.get()
    assert reverse("admin:credits_grant_change", args=[grant.pk]) in row


# ---------------------------------------------------------------- from page to page


def test_payment_leads_to_what_came_of_it_and_to_its_lines_in_the_books(stripe, french) -> None:
    payment = shop.paid(stripe, known())
    tasks.issue_invoices()
    case = Case.objects.create(kind="surplus", key="one", payment=payment)
    root = signed_in(is_superuser=True)
    text = unescape(root.get(page_of(payment)).content.decode())
    for thing in (Invoice.objects.get(), case, *Grant.objects.all()):
        assert page_of(thing) in text
    link = f"/admin/ledger/entry/?q=payment%3A{payment.pk}"
    assert link in text
    kinds = {entry.kind for entry in root.get(link).context["cl"].result_list}
    assert "payment.fee" not in kinds
    assert len(kinds) >= 1


def test_withdrawal_leads_to_its_wallet_and_to_the_books() -> None:
    withdrawal = approved()
    text = signed_in(is_superuser=True).get(page_of(Withdrawal.objects.get())).content.decode()
    assert page_of(withdrawal.wallet) in text
    assert "held in the books" in text.lower()


def test_books_are_in_the_sidebar_of_those_who_may_read_them(rf: Any) -> None:
    for group, sees in (("finance", True), ("support", False), ("auditor", True)):
        request = rf.get("/admin/")
        client = signed_in(group, name=group)
        request.user = User.objects.get(username=group)
        links = [item["link"] for section in navigation.sidebar(request) for item in section["items"]]
        assert ("/admin/ledger/entry/" in links) is sees
        assert (client.get("/admin/ledger/entry/").status_code == 200) is sees


def test_page_shows_no_books_to_those_who_may_not_read_them(stripe, support: Client) -> None:
    text = support.get(page_of(shop.paid(stripe))).content.decode()
    assert "/admin/ledger/" not in text
    assert "/admin/credits/grant/" in text
