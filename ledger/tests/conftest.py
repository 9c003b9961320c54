"""What all tests of the books share."""

from collections.abc import Iterator

import pytest

from ledger import checks
from ledger.models import Account
from ledger.tests.books import house


@pytest.fixture(autouse=True)
def checks_of_the_books_alone(settings):
    """Entries here are called what they like; what a sale or a withdrawal must look like, the apps above prove."""
    settings.LEDGER_CHECKS = []


@pytest.fixture
def books_in_order_afterwards() -> Iterator[None]:
    yield
    assert checks.faults() == {}


@pytest.fixture
def spent() -> Account:
    """Of the house, where what customers use goes."""
    return house("credits:spent")
