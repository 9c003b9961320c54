"""Statements on paper: the same lines and sums as the statement, in the reader's language."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils.translation import override

from rest.tests.callers import customer, get
from wallets import statement_files, statements
from wallets.tests.people import ask, make_rule, make_user, sell_cleared, wallet_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def statement() -> Any:
    make_rule(basis_points=1_000)
    user = make_user()
    sell_cleared(user, 10_000, reference="seat 7")
    ask(user, 4_000)
    now = datetime.now(UTC)
    return statements.of_month(wallet_of(user), year=now.year, month=now.month)


def test_paper_says_each_line_and_the_sums(statement) -> None:
    told = statement_files.told(statement)
    assert [line[1:] for line in told["lines"]] == [
        ["opening balance", "", "", "€0.00"],
        ["sale", "seat 7", "€90.00", "€90.00"],
        ["cleared", "seat 7", "", "€90.00"],
        ["withdrawal: waits for approval", "€40.00", "", "€90.00"],
    ]
    assert told["closing"] == "Closing balance: €90.00"


def test_paper_speaks_french(statement) -> None:
    with override("fr"):
        told = statement_files.told(statement)
    assert (told["title"], told["lines"][1][1:3]) == ("Relevé de votre portefeuille", ["vente", "seat 7"])
    assert told["columns"][3] == "Mouvement"
    assert told["lines"][-1][1:3] == ["retrait : attend une approbation", "40,00\xa0€"]


def test_seller_gets_it_as_a_pdf(statement) -> None:
    who = customer(statement.wallet.seller.user)
    answer = get(f"wallets/statements?currency=EUR&month={statement.since:%Y-%m}&format=pdf", who)
    assert (answer.status_code, answer["Content-Type"], answer.content[:5]) == (200, "application/pdf", b"%PDF-")
    assert answer["Content-Disposition"] == f'attachment; filename="statement-EUR-{statement.since:%Y-%m}.pdf"'
