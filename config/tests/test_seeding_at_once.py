"""Seeding of whole catalogues: all that are shipped, two deployments at once, and none where one has a mistake."""

from collections.abc import Callable, Iterator

import pytest
from django.db import IntegrityError

from config import seeding
from credits import catalogue_files
from credits.catalogue_files import Catalogue
from credits.errors import CatalogueMistake
from credits.tests.test_seeding import rows, write
from ledger.tests.races import meeting_of, run_together
from rest.seeding import Change

__all__ = ["write"]
pytestmark = pytest.mark.django_db


def test_shipped_catalogues_are_seeded_and_then_there_is_nothing_to_change() -> None:
    first = seeding.seed_all()
    assert {name: len(changes) for name, changes in first.items()} == {
        "ai-credits": 5,
        "companion-tokens": 11,
        "dating-premium": 1,
        "event-planner": 7,
        "image-credits": 2,
    }
    assert all(changes == [] for changes in seeding.seed_all().values())


@pytest.mark.django_db(transaction=True)
def test_two_deployments_at_once_seed_once(write: Callable[..., None]) -> None:
    write()
    shop = catalogue_files.named("shop")
    assert sorted(run_together(4, lambda: len(seeding.seed(shop)))) == [0, 0, 0, 5]
    assert rows() == (2, 3, 2, 1)


@pytest.mark.django_db(transaction=True)
def test_the_race_is_real_without_the_lock(write: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the test above proves nothing."""
    write()
    shop = catalogue_files.named("shop")
    meet, differences = meeting_of(8), seeding.differences

    def differences_that_all_have_seen(catalogue: Catalogue) -> Iterator[Change]:
        found = list(differences(catalogue))
        meet()
        return iter(found)

    monkeypatch.setattr("credits.versions.lock", lambda subject: None)
    monkeypatch.setattr(seeding, "differences", differences_that_all_have_seen)

    def seed() -> int:
        try:
            return len(seeding.seed(shop))
        except IntegrityError:
            return -1

    assert sorted(run_together(8, seed)) == [-1] * 7 + [5]


def test_seeding_all_checks_first(write: Callable[..., None]) -> None:
    write(("XOF: 3250", "XOF: 999"))
    with pytest.raises(CatalogueMistake):
        seeding.seed_all()
    assert rows() == (0, 0, 0, 0)
