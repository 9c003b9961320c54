"""What the database refuses of the operators' choices."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from billing.models import GatewaySetting, GatewayTerms

pytestmark = pytest.mark.django_db


@pytest.fixture
def stripe() -> GatewaySetting:
    return GatewaySetting.objects.create(name="stripe")


def test_a_new_gateway_takes_payments_and_has_no_limits_of_ours(stripe: GatewaySetting) -> None:
    stripe.refresh_from_db()
    assert (stripe.is_enabled, stripe.priority, stripe.currencies, stripe.countries) == (True, 100, [], [])
    assert stripe.cost_basis_points == 0


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"currency": "eur"}, "gateway_terms_currency_is_a_code"),
        ({"minimum_minor": 0}, "gateway_terms_minimum_positive"),
        ({"maximum_minor": 0}, "gateway_terms_maximum_positive"),
        ({"minimum_minor": 500, "maximum_minor": 499}, "gateway_terms_minimum_not_over_maximum"),
        ({"fixed_cost_minor": -1}, "gateway_terms_cost_not_negative"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    stripe: GatewaySetting, values: dict[str, object], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        GatewayTerms.objects.create(**{"gateway": stripe, "currency": "EUR"} | values)
    assert not GatewayTerms.objects.exists()


def test_a_currency_has_one_line_of_terms(stripe: GatewaySetting) -> None:
    GatewayTerms.objects.create(gateway=stripe, currency="EUR")
    with pytest.raises(IntegrityError, match="gateway_terms_once_per_currency"), transaction.atomic():
        GatewayTerms.objects.create(gateway=stripe, currency="EUR")


@pytest.mark.parametrize("name", ["", "Stripe", "a" * 21, "mtn momo"])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(ValidationError):
        GatewaySetting(name=name).full_clean()


@pytest.mark.parametrize("values", [{"currencies": ["EURO"]}, {"currencies": ["XXQ"]}, {"countries": ["ZZ"]}])
def test_unknown_codes_are_refused_by_the_form(values: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError):
        GatewaySetting(name="stripe", **values).full_clean()
