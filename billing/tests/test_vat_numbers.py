"""When VIES is asked at all, as whom, and what its silence means."""

import pytest

from billing import invoices, vat_numbers
from billing.models import VatCheck
from billing.tests import shop
from billing.tests.papers import amounts, known
from billing.tests.test_papers import GERMAN, vies

__all__ = ["vies"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "value"), [("TAX_SCHEME", "franchise"), ("TAX_SCHEME", "none"), ("VIES_REQUIRED", False)]
)
def test_vies_is_not_asked_where_no_number_changes_what_anybody_pays(french, vies, settings, name, value) -> None:
    known(country="DE", vat_number=GERMAN)
    setattr(settings, name, value)
    assert (vat_numbers.check_due(), vies.asked, VatCheck.objects.exists()) == (0, [], False)


def test_seller_without_a_number_asks_as_nobody(french, vies, settings) -> None:
    settings.SELLER_VAT_NUMBER = ""
    known(country="DE", vat_number=GERMAN)
    assert vat_numbers.check_due() == 1
    assert vies.asked == [{"countryCode": "DE", "vatNumber": "136695976"}]
    assert VatCheck.objects.get().outcome == "valid"


def test_vies_that_cannot_be_reached_confirms_nothing_and_stops_no_sale(stripe, french, settings) -> None:
    settings.VIES_URL = "http://127.0.0.1:1/check-vat-number"
    buyer = known(country="DE", vat_number=GERMAN)
    assert vat_numbers.check_due() == 1
    check = VatCheck.objects.get()
    assert (check.outcome, check.reply) == ("unreachable", {"error": "ConnectionError"})
    assert amounts(invoices.issue(payment=shop.paid(stripe, buyer))) == (832, 167, 999)
