"""What happened to a seller's money, read page by page: no line is lost or told twice where a page ends."""

import pytest

from wallets import transactions
from wallets.tests.people import make_rule, make_user, sell, sell_cleared, wallet_of
from wallets.transactions import Wanted

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("size", "pages"), [(2, [2, 2, 1]), (4, [4, 1]), (5, [5, 0]), (6, [5])])
def test_pages_are_the_whole_in_its_order_wherever_they_end(
    monkeypatch: pytest.MonkeyPatch, size: int, pages: list[int]
) -> None:
    make_rule(basis_points=0)
    user = make_user()
    for minor in (100, 200):
        sell_cleared(user, minor)
    sell(user, 300)
    wanted = Wanted(wallets=[wallet_of(user)])
    whole = transactions.page(wanted, 100)
    assert [(each.kind, each.change) for each in whole] == [
        ("sale", 300), ("sale.release", 0), ("sale", 200), ("sale.release", 0), ("sale", 100),
    ]  # fmt: skip
    monkeypatch.setattr(transactions, "LARGEST_PAGE", size)
    found = list(transactions.every(wanted))
    assert [len(each) for each in found] == pages
    assert [line for each in found for line in each] == whole


def test_pages_keep_to_the_kind_and_to_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    make_rule(basis_points=0)
    user = make_user()
    for minor in (100, 200, 300):
        sell_cleared(user, minor)
    monkeypatch.setattr(transactions, "LARGEST_PAGE", 1)
    wanted = Wanted(wallets=[wallet_of(user)], kind="sale")
    last, *_ = transactions.page(wanted, 1)
    found = list(transactions.every(Wanted(wallets=wanted.wallets, kind="sale", before=last.id)))
    assert [line.change for each in found for line in each] == [200, 100]
