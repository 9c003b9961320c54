"""Credits that were held since their money may go back, and are free again: once, whoever says so how often."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from credits import takebacks
from credits.tests.people import give, standing
from ledger import checks

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(user: User) -> dict[str, Any]:
    """Thirty of forty, under the key of a refund."""
    give(user, 40, key="payment:1")
    known: dict[str, Any] = {"user": user, "unit": "CREDIT", "key": "refund:1"}
    takebacks.hold(**known, amounts={"payment:1": 30})
    assert standing(user) == (10, 30)
    return known


def test_what_was_held_is_free_once(user: User, held: dict[str, Any]) -> None:
    for _ in range(2):
        takebacks.release(**held)
        assert standing(user) == (40, 0)
    assert (takebacks.taken(keys=["refund:1"]), checks.faults()) == (0, {})


def test_what_is_taken_instead_is_taken_once(user: User, held: dict[str, Any]) -> None:
    for _ in range(2):
        takebacks.release(**held, instead={"dispute:1": {"payment:1": 25}})
        assert standing(user) == (15, 0)
    assert (takebacks.taken(keys=["dispute:1"]), checks.faults()) == (25, {})


def test_what_has_been_taken_is_not_given_back_by_releasing_it(user: User, held: dict[str, Any]) -> None:
    assert takebacks.take(**held) == 30
    takebacks.release(**held, instead={"dispute:1": {"payment:1": 5}})
    assert (standing(user), takebacks.taken(keys=["refund:1", "dispute:1"])) == ((10, 0), 30)
    assert checks.faults() == {}
