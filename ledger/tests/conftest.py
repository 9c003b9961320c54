"""What all tests of the books share."""

import pytest


@pytest.fixture(autouse=True)
def checks_of_the_books_alone(settings):
    """Entries here are called what they like; what a sale or a withdrawal must look like, the apps above prove."""
    settings.LEDGER_CHECKS = []
