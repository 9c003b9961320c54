"""The accounting file: what other currencies and months of use are in it, its name, and a file that is not whole."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing import accounting_file, errors, fulfilment, invoices, usage_invoices
from billing.models import Invoice
from billing.tests import shop
from billing.tests.papers import known, later
from billing.tests.test_papers import this_year
from credits import usage
from ledger import transfers
from ledger.models import Entry
from ledger.money import Money
from ledger.transfers import Move
from wallets.tests import people

pytestmark = pytest.mark.django_db


def written(file: Path) -> list[dict[str, str]]:
    """The lines of this year's file, by the names of its columns."""
    call_command("export_fec", "--year", str(this_year()), "--out", str(file), verbosity=0)
    _, *lines = file.read_text().splitlines()
    return [dict(zip(accounting_file.COLUMNS, line.split("\t"), strict=True)) for line in lines]


def moved(unit: str, minor: int, kind: str = "adjustment") -> None:
    source, target = fulfilment.house(f"loss:{unit}", unit), fulfilment.house(f"adjustments:{unit}", unit)
    transfers.post(key=f"{kind}:{unit}", kind=kind, moves=[Move(source, target, Money(minor, unit))])


@pytest.mark.parametrize(("legal_id", "begins"), [("73282932000074", "732829320FEC"), ("", "SIRENFEC")])
def test_file_is_named_as_the_tax_office_wants_it(settings, tmp_path, monkeypatch, legal_id, begins) -> None:
    settings.SELLER_LEGAL_ID = legal_id
    monkeypatch.chdir(tmp_path)
    call_command("export_fec", "--year", str(this_year()), verbosity=0)
    assert [file.name for file in tmp_path.iterdir()] == [f"{begins}{this_year()}1231.txt"]


@pytest.fixture
def rates(settings) -> None:
    settings.FEC_RATES = {"XOF": "655.957", "USD": "1.25", "TND": "3.3"}


@pytest.mark.parametrize(
    ("booked", "value", "foreign"),
    [
        (Money(6_500, "XOF"), "9,91", "6500,00"),
        (Money(1_000, "USD"), "8,00", "10,00"),
        (Money(1_235, "TND"), "0,37", "1,235"),
    ],
)
def test_other_currency_is_valued_in_that_of_the_books_and_said_beside_it(
    tmp_path, rates, booked: Money, value: str, foreign: str
) -> None:
    moved(booked.unit, booked.minor)
    names = ("Debit", "Credit", "Montantdevise", "Idevise")
    assert [tuple(line[name] for name in names) for line in written(tmp_path / "fec.txt")] == [
        (value, "0,00", foreign, booked.unit),
        ("0,00", value, f"-{foreign}", booked.unit),
    ]


def test_file_is_not_written_while_a_currency_has_no_rate(settings, tmp_path) -> None:
    settings.FEC_RATES = {"XOF": "655.957"}
    moved("USD", 1_000)
    with pytest.raises(CommandError, match=r"^FEC_RATES has no rate of USD\.$"):
        written(tmp_path / "fec.txt")
    assert list(tmp_path.iterdir()) == []


def test_entry_of_credits_alone_takes_no_number(tmp_path) -> None:
    for unit in ("EUR", "CREDIT"):
        moved(unit, 500)
    moved("EUR", 700, kind="later")
    found = [(line["EcritureNum"], line["Debit"]) for line in written(tmp_path / "fec.txt")]
    assert found == [("1", "5,00"), ("1", "0,00"), ("2", "7,00"), ("2", "0,00")]


def test_wallet_of_a_seller_is_an_account_of_a_third_party(tmp_path) -> None:
    people.make_rule(basis_points=0)
    seller = people.make_user()
    people.sell_cleared(seller, 4_000, "EUR")
    lines = written(tmp_path / "fec.txt")
    assert lines[0]["PieceRef"] == Entry.objects.get(kind="sale").entry_key.key  # of a payment that is not ours
    theirs = {(line["CompAuxNum"], line["CompAuxLib"]) for line in lines if line["CompteNum"] == "467000"}
    assert theirs == {(f"wallet:{seller.pk}",) * 2}
    assert {line["CompAuxNum"] for line in lines if line["CompteNum"] != "467000"} == {""}


def test_month_of_use_is_proven_by_its_invoice(stripe, french, settings, tmp_path) -> None:
    settings.TAX_AT_USE_CATALOGUES = ["companion-tokens"]
    buyer = known()
    invoices.issue(payment=shop.paid(stripe, buyer))
    usage.spend(user=buyer, amount=100, key="s-1")
    usage_invoices.issue_due(now=later())
    number, receipt = (Invoice.objects.get(kind=kind).number for kind in ("invoice", "receipt"))
    found = [(line["JournalCode"], line["PieceRef"], line["EcritureLib"]) for line in written(tmp_path / "fec.txt")]
    assert found == [("VE", receipt, f"payment {receipt}")] * 2 + [("VE", number, f"usage {number}")] * 4


def _other_head(lines: list[str]) -> None:
    lines[0] = lines[0].replace("PieceRef", "Piece")


def _no_label(lines: list[str]) -> None:
    cells = lines[2].split("\t")
    cells[accounting_file.COLUMNS.index("EcritureLib")] = ""
    lines[2] = "\t".join(cells)


def _no_last_cell(lines: list[str]) -> None:
    lines[2] = lines[2].rpartition("\t")[0] + "\r\n"


def _no_last_line(lines: list[str]) -> None:
    del lines[-1]


@pytest.mark.parametrize(
    ("spoil", "wrong"),
    [
        (_other_head, "The first line does not name the 18 columns."),
        (_no_label, "Line 3 lacks something."),
        (_no_last_cell, "Line 3 lacks something."),
        (_no_last_line, "Entry 1 does not balance."),
    ],
)
def test_file_that_is_not_whole_is_refused(tmp_path, spoil: Any, wrong: str) -> None:
    moved("EUR", 500)
    file = tmp_path / "fec.txt"
    written(file)
    with file.open(newline="") as whole:
        lines = whole.readlines()
    spoil(lines)
    file.write_text("".join(lines), newline="")
    with pytest.raises(errors.AccountingMistake) as refusal:
        accounting_file.check(file)
    assert str(refusal.value) == wrong
