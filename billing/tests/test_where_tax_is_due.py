"""Where a buyer is taxed: by their profile, whatever a checkout says, and what is written down of why."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.utils import timezone

from billing import customers, invoice_xml, invoices, renewals, subscriptions, taxing
from billing.checkout import Wishes
from billing.models import Customer, GatewaySetting, Payment, TaxRate
from billing.tests import shop
from billing.tests.papers import faults_of_schematron, known
from billing.tests.subscribers import make_plan, make_plans, price, subscribed
from ledger.money import Money
from rest.tests.callers import customer, post

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("french")]
GERMAN = "DE136695976"


def tax_of(payment: Payment) -> tuple[Any, ...]:
    told = payment.details["tax"]
    return told["category"], payment.tax_minor, told["buyer_country"], told["evidence"]


def ask(user: Any, path: str, **body: Any) -> Any:
    return post(path, customer(user), {"pack": "medium", "currency": "EUR", **body})


def test_another_country_at_the_checkout_frees_nobody_from_tax(gateways) -> None:
    shop.make_pack()
    user = known()
    told = ask(user, "checkouts/preview", country="US").json()
    answer = ask(user, "checkouts", country="US")
    payment = Payment.objects.get()
    assert (answer.status_code, told["tax"], tax_of(payment)) == (201, 167, ("S", 167, "FR", "profile"))
    assert (payment.country, Customer.objects.get().country) == ("US", "FR")


def test_another_country_at_the_checkout_frees_no_plan_either(gateways) -> None:
    make_plan("premium", {"month": 999})
    user = known()
    answer = post("subscription", customer(user), {"plan": "premium", "currency": "EUR", "country": "US"})
    assert (answer.status_code, tax_of(Payment.objects.get())) == (201, ("S", 167, "FR", "profile"))


def test_country_of_the_checkout_still_chooses_the_gateway(gateways) -> None:
    GatewaySetting.objects.filter(name="stripe").update(countries=["FR"])
    payment = shop.buy(known(), country="CI")
    assert payment.attempts.get().gateway == "paypal"


def test_country_that_the_profile_has_got_meanwhile_is_not_written_over(gateways, monkeypatch) -> None:
    user, usual = shop.make_user(), taxing.place_of

    def place_of(buyer: Customer, told: str) -> taxing.Place:
        found = usual(buyer, told)
        Customer.objects.filter(pk=buyer.pk, country="").update(country="FR")
        return found

    monkeypatch.setattr(taxing, "place_of", place_of)
    customers.place(user, "SN")
    assert Customer.objects.get().country == "FR"


def test_first_country_that_a_buyer_names_is_theirs_and_the_next_is_not(gateways) -> None:
    user = shop.make_user()
    first, second = shop.buy(user, country="SN"), shop.buy(user, country="FR")
    assert tax_of(first) == ("O", 0, "SN", "checkout")
    assert tax_of(second) == ("O", 0, "SN", "profile")
    assert Customer.objects.get().country == "SN"


def test_buyer_who_names_no_country_is_taxed_like_us_and_none_is_written(gateways) -> None:
    payment = shop.buy()
    assert tax_of(payment) == ("S", 167, "", "nothing")
    assert Customer.objects.get().country == ""


def test_preview_writes_no_country(gateways) -> None:
    shop.make_pack()
    user = shop.make_user()
    assert ask(user, "checkouts/preview", country="SN").json()["tax"] == 0
    assert not Customer.objects.exclude(country="").exists()


def test_country_that_gainsays_the_vat_number_is_not_believed(gateways, settings) -> None:
    settings.VIES_REQUIRED = False
    user = known(country="", vat_number=GERMAN)
    payment = shop.buy(user, country="US")
    assert tax_of(payment) == ("AE", 0, "DE", "vat_number")
    assert Customer.objects.get().country == "DE"


def test_number_of_another_country_than_the_customers_frees_nobody(gateways, settings) -> None:
    """As a record may say that was written before the two had to agree."""
    settings.VIES_REQUIRED = False
    user = known(country="DE")
    Customer.objects.update(vat_number="FR44732829320")
    assert tax_of(shop.buy(user)) == ("S", 167, "DE", "profile")


def test_invoice_says_the_country_that_was_taxed_and_not_that_of_the_gateway(stripe) -> None:
    invoice = invoices.issue(payment=shop.paid(stripe, known(), country="CI"))
    assert (invoice.buyer["country"], invoice.tax_minor) == ("FR", 167)


def test_plan_on_trial_keeps_the_country_that_was_named_for_it(gateways) -> None:
    make_plan("premium", {"month": 999}, trial_days=7)
    begun = subscriptions.start(user=shop.make_user(), price=price("premium"), wishes=Wishes(country="SN"))
    assert (begun.payment, Customer.objects.get().country) == (None, "SN")


def test_customer_who_moved_away_is_not_taxed_for_ever(gateways, paypal, clock) -> None:
    make_plans()
    premium = subscribed(paypal)
    Customer.objects.update(country="SN")
    clock.move_to(premium.paid_until)
    renewals.renew_due()
    renewal = Payment.objects.get(status="pending")
    assert tax_of(renewal) == ("O", 0, "SN", "profile")
    assert (renewal.country, renewal.attempts.get().gateway) == ("FR", "paypal")  # paid for as before


def test_number_that_freed_from_tax_stands_on_the_invoice_whatever_the_profile_says_then(stripe, settings) -> None:
    settings.VIES_REQUIRED = False
    payment = shop.paid(stripe, known(country="DE", vat_number=GERMAN))
    Customer.objects.update(country="FR", vat_number="")
    invoice = invoices.issue(payment=payment)
    assert (invoice.lines.get().tax_category, invoice.tax_minor) == ("AE", 0)
    assert (invoice.buyer["vat_number"], invoice.buyer["country"]) == (GERMAN, "DE")


def test_invoice_whose_tax_the_buyer_owes_is_never_a_simplified_one(stripe, settings) -> None:
    settings.VIES_REQUIRED = False
    invoice = invoices.issue(payment=shop.paid(stripe, known(country="DE", vat_number=GERMAN)))
    assert (invoice.missing, invoice.is_simplified) == (["address", "city"], False)
    assert invoices.issue(payment=shop.paid(stripe, known())).is_simplified


@pytest.mark.parametrize(
    ("seller", "buyer", "expected"),
    [
        ("FR", "RE", ("S", 850, 78)),
        ("FR", "GP", ("S", 850, 78)),
        ("FR", "MQ", ("S", 850, 78)),
        ("FR", "GF", ("O", 0, 0)),
        ("FR", "YT", ("O", 0, 0)),
        ("FR", "MC", ("S", 2_000, 167)),
        ("RE", "FR", ("S", 2_000, 167)),
        ("MC", "FR", ("S", 2_000, 167)),
        ("DE", "RE", ("O", 0, 0)),
    ],
)
def test_overseas_departments_pay_french_tax_at_their_own_rate(gateways, settings, seller, buyer, expected) -> None:
    settings.SELLER_COUNTRY = seller
    payment = shop.buy(known(country=buyer))
    told = payment.details["tax"]
    assert (told["category"], told["basis_points"], payment.tax_minor) == expected


def test_invoice_to_an_overseas_department_is_valid_and_says_its_own_code(stripe) -> None:
    buyer = known(country="RE", vat_number="FR40303265045", address="1 rue de Paris", city="Saint-Denis")
    invoice = invoices.issue(payment=shop.paid(stripe, buyer))
    xml = invoice_xml.build(invoice, list(invoice.lines.all()))
    assert (faults_of_schematron(xml), b"<ram:CountryID>RE</ram:CountryID>" in xml) == ([], True)
    assert (invoice.tax_minor, invoice.buyer["vat_number"]) == (78, "FR40303265045")


@pytest.mark.parametrize(
    ("moment", "points"),
    [
        (datetime(2026, 12, 31, 22, 59, tzinfo=UTC), 2_000),
        (datetime(2026, 12, 31, 23, 30, tzinfo=UTC), 2_100),  # half past midnight in Paris
    ],
)
def test_new_rate_begins_with_the_sellers_day(monkeypatch, settings, moment: datetime, points: int) -> None:
    settings.SELLER_TIME_ZONE = "Europe/Paris"
    TaxRate.objects.create(country="FR", valid_from=date(2027, 1, 1), basis_points=2_100)
    buyer = customers.get(known())
    monkeypatch.setattr(timezone, "now", lambda: moment)
    due = taxing.frozen(buyer, Money(999, "EUR"), "")
    assert due.tax == taxing.contained_in(Money(999, "EUR"), points)
