"""Tax that a gateway reckons: where it is asked to, and what its figures make of the sale and of its paper."""

from dataclasses import replace

import pytest

from billing import gateway_tax, invoice_xml, invoices, taxing
from billing.gateways.base import CheckoutRequest, Flow, PaymentResult
from billing.gateways.tax_figures import TaxBehavior, TaxFigures, TaxReason
from billing.models import Payment
from billing.tests import shop
from billing.tests.fakes import RefundingGateway, StandIn
from billing.tests.papers import faults_of_schematron, known
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("french")]
NOTHING = Money(0, "EUR")


class ReckoningGateway(RefundingGateway):
    """Has a page that reckons the tax and a form that does not; remembers what was asked of it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, reckons_tax=True, flows=frozenset({Flow.REDIRECT, Flow.CLIENT_SECRET}))
        self.requests: list[CheckoutRequest] = []
        self.figures: TaxFigures | None = None

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        self.requests.append(request)
        return super().open_checkout(request)

    def _answer(self, reference: str) -> PaymentResult:
        return replace(super()._answer(reference), tax=self.figures)


@pytest.fixture
def reckoning(stand_in: StandIn) -> ReckoningGateway:
    return stand_in(ReckoningGateway("stripe"))


def asked(reckoning: ReckoningGateway, flow: Flow | None = None) -> tuple[TaxBehavior | None, int]:
    """What of tax the gateway is asked for, and of which amount."""
    shop.buy(known(), gateways=["stripe"], flow=flow)
    [request] = reckoning.requests
    return request.tax, request.amount.minor


def test_page_reckons_the_tax_in_our_price(reckoning) -> None:
    assert asked(reckoning) == (TaxBehavior.INCLUSIVE, 999)


def test_page_adds_the_tax_to_a_price_that_is_before_it(reckoning, settings) -> None:
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companion-tokens"]
    assert asked(reckoning) == (TaxBehavior.EXCLUSIVE, 999)


def test_form_that_does_not_ask_where_the_buyer_is_gets_our_own_tax(reckoning, settings) -> None:
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companion-tokens"]
    assert asked(reckoning, Flow.CLIENT_SECRET) == (None, 1_199)


def test_no_tax_is_asked_for_of_what_is_taxed_when_it_is_used(reckoning, settings) -> None:
    settings.TAX_AT_USE_CATALOGUES = ["companion-tokens"]
    assert asked(reckoning) == (None, 999)


@pytest.mark.parametrize(
    ("reason", "category", "mention", "is_exclusive"),
    [(TaxReason.EXEMPT, "E", gateway_tax.EXEMPT, True), (TaxReason.NOT_DUE, "O", taxing.OUTSIDE, False)],
)
def test_paper_says_why_the_gateway_took_no_tax(
    reckoning, settings, *, reason: TaxReason, category: str, mention: str, is_exclusive: bool
) -> None:
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companion-tokens"] if is_exclusive else []
    reckoning.figures = TaxFigures(tax=NOTHING, reason=reason, country="DE")
    payment = shop.paid(reckoning, known())
    assert (payment.status, payment.amount_minor, payment.tax_minor) == ("succeeded", 999, 0)
    invoice = invoices.issue(payment=payment)
    line = invoice.lines.get()
    assert (line.tax_category, line.tax_basis_points, invoice.tax_minor) == (category, 0, 0)
    assert (mention in invoice.mention, invoice.buyer["country"]) == (True, "DE")
    assert faults_of_schematron(invoice_xml.build(invoice, [line])) == []
    assert (on("revenue:packs:EUR"), on("tax:EUR"), checks.faults()) == (999, 0, {})


def test_tax_that_was_not_asked_for_is_no_reason_to_take_another_amount(reckoning, settings) -> None:
    """The price is before tax: with the gateway's own tax it would be 11.89, and what came is the price alone."""
    settings.TAX_EXCLUSIVE_CATALOGUES = ["companion-tokens"]
    reckoning.figures = TaxFigures(tax=Money(190, "EUR"), reason=TaxReason.TAXED, country="DE")
    payment = shop.paid(reckoning, known())
    assert (payment.status, Payment.objects.get().delivered_at) == ("quarantined", None)
