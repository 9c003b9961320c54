"""What a buyer sees whom a gateway sends back to our first page."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from billing.gateways.base import PaymentState
from billing.tests.shop import buy, paid, told

WAITS = "data-waits"


def test_buyer_who_returns_reads_what_was_bought_and_that_it_is_paid(db: None, client: Client, gateways: Any) -> None:
    payment = paid(gateways["stripe"])
    page = client.get("/", {"payment": str(payment.pk)})
    assert "Thank you: your payment has arrived." in page.content.decode()
    assert "Pack Medium" in page.content.decode()
    assert "€9.99" in page.content.decode()
    assert "no-store" in page["Cache-Control"]


def test_page_waits_while_the_payment_is_under_way(db: None, client: Client, gateways: Any) -> None:
    payment = buy(gateways=["stripe"])
    part = client.get("/", {"payment": str(payment.pk), "part": "1"}, headers={"Accept-Language": "fr"})
    assert WAITS in part.content.decode()
    assert "Nous attendons votre paiement." in part.content.decode()
    assert "<html" not in part.content.decode()


def test_payment_that_failed_is_said_to_be_unpaid(db: None, client: Client, gateways: Any) -> None:
    payment = buy(gateways=["stripe"])
    gateways["stripe"].becomes(PaymentState.FAILED)
    told(payment)
    page = client.get("/", {"payment": str(payment.pk)}).content.decode()
    assert "This has not been paid." in page
    assert WAITS not in page


@pytest.mark.parametrize("payment", [str(UUID(int=7)), "not an id"])
def test_payment_that_is_not_there_leaves_the_page_as_it_is(db: None, client: Client, payment: str) -> None:
    page = client.get("/", {"payment": payment})
    assert page.status_code == 200
    assert "data-live" not in page.content.decode()
