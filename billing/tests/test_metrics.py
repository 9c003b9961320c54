"""What Prometheus is shown of payments."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.db import transaction
from prometheus_client import REGISTRY

from billing import asking, errors, payments
from billing.gateways.base import PaymentResult, PaymentState
from billing.gateways.errors import Declined, FailureCategory
from billing.models import Payment
from billing.models.payments import PaymentStatus
from billing.tests import shop

pytestmark = pytest.mark.django_db

Committed = Callable[..., AbstractContextManager[Any]]
FAMILIES = {"payment_transactions_total": "gateway", "payment_service_payments_total": "provider"}


def counted() -> dict[tuple[str, str, str, str], float]:
    """Name, gateway, status and currency of all that is above zero."""
    return {
        (sample.name, sample.labels[FAMILIES[sample.name]], sample.labels["status"], sample.labels["currency"]): (
            sample.value
        )
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name in FAMILIES and sample.value
    }


@contextmanager
def difference(committed: Committed) -> Iterator[dict[tuple[str, str, str], float]]:
    """What was counted meanwhile; both families say the same."""
    before: dict[tuple[str, str, str, str], float] = counted()
    found: dict[tuple[str, str, str], float] = {}
    with committed(execute=True):
        yield found
    more = {key: value - before.get(key, 0) for key, value in counted().items() if value != before.get(key, 0)}
    families = [{key[1:]: value for key, value in more.items() if key[0] == name} for name in FAMILIES]
    assert families[0] == families[1]
    found.update(families[0])


def amounts(le: str, currency: str = "EUR") -> float:
    labels = {"provider": "stripe", "currency": currency, "le": le}
    return REGISTRY.get_sample_value("payment_service_payment_amount_bucket", labels) or 0.0


def test_paid_payment_is_counted_once_by_gateway_status_and_currency(
    stripe, django_capture_on_commit_callbacks
) -> None:
    payment = shop.buy()
    stripe.pays()
    below, within = amounts("5.0"), amounts("10.0")
    with difference(django_capture_on_commit_callbacks) as found:
        shop.told(payment)
        shop.told(payment)
    assert found == {("stripe", "succeeded", "EUR"): 1}
    assert (amounts("5.0") - below, amounts("10.0") - within) == (0, 1)  # 9.99 €


def test_amounts_are_in_the_major_unit_of_currencies_without_a_smaller_one(
    stripe, django_capture_on_commit_callbacks
) -> None:
    below, within = amounts("5000.0", "XOF"), amounts("10000.0", "XOF")
    with difference(django_capture_on_commit_callbacks) as found:
        shop.paid(stripe, currency="XOF")
    assert found == {("stripe", "succeeded", "XOF"): 1}
    assert (amounts("5000.0", "XOF") - below, amounts("10000.0", "XOF") - within) == (0, 1)  # 6 500 francs


def test_payment_that_no_gateway_takes_counts_for_the_last_one_asked(
    stripe, django_capture_on_commit_callbacks
) -> None:
    stripe.refuses = Declined("no", gateway="stripe", category=FailureCategory.RISK)
    with difference(django_capture_on_commit_callbacks) as found, pytest.raises(errors.NoGatewayTakesIt):
        shop.buy()
    assert found == {("stripe", "failed", "EUR"): 1}


def test_failed_payment_that_is_paid_late_has_come_to_two_ends(stripe, django_capture_on_commit_callbacks) -> None:
    payment = shop.buy()
    with difference(django_capture_on_commit_callbacks) as found:
        stripe.becomes(PaymentState.FAILED)
        shop.told(payment)
        stripe.pays()
        shop.told(payment)
    assert found == {("stripe", "failed", "EUR"): 1, ("stripe", "succeeded", "EUR"): 1}


def test_cancelled_payment_is_counted_as_such(stripe, django_capture_on_commit_callbacks) -> None:
    with difference(django_capture_on_commit_callbacks) as found:
        asking.cancel(shop.buy())
    assert found == {("stripe", "cancelled", "EUR"): 1}


def test_payment_that_never_met_a_gateway_is_counted_under_none(stripe, django_capture_on_commit_callbacks) -> None:
    payment = Payment.objects.get(pk=shop.buy().pk)
    payment.attempts.all().delete()
    with difference(django_capture_on_commit_callbacks) as found:
        payments.give_up(payment=payment, status=PaymentStatus.EXPIRED)
    assert found == {("none", "expired", "EUR"): 1}


def test_what_is_rolled_back_is_not_counted(stripe, django_capture_on_commit_callbacks) -> None:
    payment = shop.buy()
    with difference(django_capture_on_commit_callbacks) as found, transaction.atomic():
        payments.note(attempt=payment.attempts.get(), result=PaymentResult(state=PaymentState.FAILED))
        transaction.set_rollback(True)
    assert found == {}


def test_rules_for_prometheus_reckon_a_success_rate_from_figures_that_are_there() -> None:
    told = yaml.safe_load(Path(settings.BASE_DIR, "deploy/prometheus-rules.yml").read_text())
    rules = [rule for group in told["groups"] for rule in group["rules"]]
    [rate] = [rule for rule in rules if rule.get("record") == "payment_success_rate"]
    assert 'payment_transactions_total{status="succeeded"}' in rate["expr"]
    assert 'payment_transactions_total{status=~"succeeded|failed"}' in rate["expr"]
    assert {f"{metric.name}_total" for metric in REGISTRY.collect()} >= set(re.findall(r"\w+_total", rate["expr"]))
