"""Stripe reckons the tax on its pages, and our papers and books carry its figures; over HTTP, with the sandbox."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from billing import inbox, invoice_xml, invoices, refund_sending, refunds, taxing
from billing.gateways import registry
from billing.models import GatewayLetter, Invoice, Payment, Subscription, TaxRate
from billing.models.refunds import RefundPolicy
from billing.tests import shop as counter
from billing.tests.conftest import french
from billing.tests.couponing import make_coupon
from billing.tests.papers import faults_of_schematron
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import Subscriber, subscriber
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

__all__ = ["french"]
NUMBER = "DE136695976"


@pytest.fixture
def taxed(french: None, shop: Shop, settings) -> Iterator[Shop]:
    settings.STRIPE_TAX = True
    registry.forget()
    yield shop
    registry.forget()


def before_tax(settings: Any, catalogue: str) -> None:
    settings.TAX_EXCLUSIVE_CATALOGUES = [catalogue]


def bought(shop: Shop, *, coupon: str = "", **buyer: str) -> Payment:
    shop.sandbox.configure("stripe", **{f"buyer_{name}": value for name, value in buyer.items()})
    begun = shop.checkout("stripe", "EUR", **({"coupon": coupon} if coupon else {}))
    assert begun.status_code == 201, begun.content
    shop.play(begun.json())
    shop.hear("stripe")
    return Payment.objects.get(pk=begun.json()["payment"]["id"])


@pytest.mark.parametrize(
    ("is_exclusive", "buyer", "figures", "category"),
    [
        (False, {"country": "DE"}, (839, 160, 1_900), "S"),
        (True, {"country": "DE"}, (999, 190, 1_900), "S"),
        (False, {"country": "JP"}, (999, 0, 0), "O"),
        (True, {"country": "DE", "vat_number": NUMBER}, (999, 0, 0), "AE"),
    ],
)
def test_invoice_and_books_carry_what_stripe_reckoned(
    taxed: Shop, settings, *, is_exclusive, buyer, figures, category
) -> None:
    net, tax, basis_points = figures
    if is_exclusive:
        before_tax(settings, "companion-tokens")
    payment = bought(taxed, **buyer)
    assert (payment.status, payment.amount_minor, payment.tax_minor) == ("succeeded", net + tax, tax)
    assert taxed.balance() == 275
    invoices.issue_missing()
    invoice = Invoice.objects.get()
    line = invoice.lines.get()
    assert (invoice.net_minor, invoice.tax_minor, invoice.gross_minor) == (net, tax, net + tax)
    assert (line.tax_category, line.tax_basis_points) == (category, basis_points)
    assert invoice.buyer["country"] == buyer["country"]
    assert invoice.buyer["vat_number"] == buyer.get("vat_number", "")
    assert ("Reverse charge" in invoice.mention) == (category == "AE")
    assert faults_of_schematron(invoice_xml.build(invoice, [line])) == []
    assert (on("revenue:packs:EUR"), on("tax:EUR")) == (net, tax)
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("gross", "tax", "country", "basis_points"),
    [(100, 17, "FR", 2_000), (100, 17, "BE", 2_100), (100, 17, "", 2_000), (1_189, 190, "DE", 1_900), (99, 7, "", 761)],
)
def test_rate_that_an_invoice_does_not_name_is_that_of_the_buyers_country(
    taxed: Shop, *, gross, tax, country, basis_points
) -> None:
    for place, points in (("BE", 2_100), ("DE", 1_900)):
        TaxRate.objects.get_or_create(
            country=place, category="standard", valid_from=date(2026, 1, 1), defaults={"basis_points": points}
        )
    found = taxing.read_back(Money(gross, "EUR"), Money(tax, "EUR"), country)
    assert found.basis_points == basis_points


@pytest.mark.parametrize(("is_exclusive", "before"), [(True, 999), (False, 839)])
def test_coupon_and_letter_that_comes_twice_change_nothing_of_stripes_tax(
    taxed: Shop, settings, *, is_exclusive, before
) -> None:
    """The discount is taken off before the tax is reckoned; on the paper it stands without tax like the price."""
    if is_exclusive:
        before_tax(settings, "companion-tokens")
    make_coupon()
    payment = bought(taxed, coupon="WELCOME10", country="DE")
    known = (payment.amount_minor, payment.tax_minor)
    assert [inbox.replay(each) for each in GatewayLetter.objects.exclude(state="pending")]
    taxed.hear("stripe")
    payment = counter.told(payment)
    assert (payment.status, payment.amount_minor, payment.tax_minor) == ("succeeded", *known)
    net = payment.amount_minor - payment.tax_minor
    assert abs(net * 19 - payment.tax_minor * 100) <= 100
    line = invoices.issue(payment=payment).lines.get()
    assert (line.unit_price_minor, line.net_minor, line.tax_basis_points) == (before, net, 1_900)
    assert line.discount_minor == before - net > 0
    assert (on("revenue:packs:EUR"), on("tax:EUR")) == (net, payment.tax_minor)
    assert checks.faults() == {}


def test_half_that_goes_back_takes_its_share_of_stripes_tax(taxed: Shop, settings) -> None:
    before_tax(settings, "companion-tokens")
    payment = bought(taxed, country="DE")
    refunds.request(payment=payment, amount=Money(595, "EUR"), policy=RefundPolicy.GOODWILL, reason="half of it")
    refund_sending.work_through()
    invoices.issue_missing()
    note = Invoice.objects.get(kind="credit_note")
    assert (note.gross_minor, note.tax_minor, note.lines.get().tax_basis_points) == (595, 95, 1_900)
    assert on("tax:EUR") == 190 - 95
    assert checks.faults() == {}


def test_other_amount_than_price_and_tax_stays_aside(taxed: Shop, settings) -> None:
    """The price is before tax for us and was named so to Stripe; what we sold changed in between."""
    before_tax(settings, "companion-tokens")
    begun = taxed.checkout("stripe", "EUR").json()
    payment = Payment.objects.get(pk=begun["payment"]["id"])
    Payment.objects.filter(pk=payment.pk).update(amount_minor=payment.amount_minor + 1)
    taxed.play(begun)
    taxed.hear("stripe")
    payment.refresh_from_db()
    assert (payment.status, taxed.balance()) == ("quarantined", 0)
    assert on("suspense:EUR") == 999 + 200


def test_gateway_that_reckons_none_asks_for_our_own_tax(taxed: Shop, settings) -> None:
    before_tax(settings, "companion-tokens")
    begun = taxed.checkout("paypal", "EUR").json()
    taxed.play(begun)
    taxed.hear("paypal")
    payment = Payment.objects.get(pk=begun["payment"]["id"])
    assert (payment.status, payment.amount_minor, payment.tax_minor) == ("succeeded", 1_199, 200)


def test_plan_before_tax_is_refused_at_stripe_without_stripe_tax(taxed: Shop, settings) -> None:
    """Nobody would add the tax: what Stripe renews is charged as Stripe has it."""
    settings.STRIPE_TAX = False
    registry.forget()
    before_tax(settings, "companions")
    with subscriber(taxed) as person:
        wish = {"plan": "premium", "currency": "EUR", "gateways": ["stripe"]}
        answer = person.shop.post("subscription", wish, **{"idempotency-key": "key-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "tax_not_added")
    assert "STRIPE_TAX=true" in answer.json()["detail"]
    assert Subscription.objects.get().status == "expired"


def test_plan_before_tax_is_renewed_with_stripes_tax_on_top(taxed: Shop, ada: Subscriber, settings) -> None:
    before_tax(settings, "companions")
    ada.shop.sandbox.configure("stripe", buyer_country="DE")
    ada.shop.play(ada.subscribe())
    ada.hear()
    ada.pass_time(days=32)
    paid = Payment.objects.filter(status="succeeded")
    assert list(paid.values_list("amount_minor", "tax_minor")) == [(1_189, 190), (1_189, 190)]
    lines = [each.lines.get() for each in Invoice.objects.all()]
    assert [(each.net_minor, each.tax_category, each.tax_basis_points) for each in lines] == [(999, "S", 1_900)] * 2
    assert on("tax:EUR") == 380
    assert checks.faults() == {}
