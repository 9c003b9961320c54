"""A statement of a gateway as a file: CSV, as the operators of mobile money give it out."""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, datetime

from billing.errors import StatementUnreadable
from billing.gateways import references
from billing.gateways.base import Movement, MovementKind
from ledger import money
from ledger.errors import LedgerError
from ledger.money import Money

# What a column may be called, in small letters and without spaces, dashes and underscores.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "reference": ("reference", "externalid", "orderid", "merchantreference", "clienttransactionid"),
    "id": ("id", "transactionid", "financialtransactionid", "txnid", "paytoken"),
    "amount": ("amount", "montant"),
    "currency": ("currency", "devise"),
    "at": ("date", "at", "datetime", "createdat"),
    "kind": ("kind", "type"),
    "fee": ("fee", "fees", "frais", "commission"),
}
NEEDED = ("amount", "currency", "at")
REFUNDS = {"refund", "remboursement"}
PAYMENTS = {"", "payment", "paiement", "collection"}


def read(text: str) -> list[Movement]:
    """Every line of it; one that cannot be read makes the whole file useless, since nobody knows what it said."""
    sample = text.lstrip("\ufeff")
    delimiter = ";" if sample.partition("\n")[0].count(";") else ","
    rows = csv.reader(io.StringIO(sample), delimiter=delimiter)
    try:
        places = _places(next(rows, []))
        return [_movement(row, places, number) for number, row in enumerate(rows, start=2) if any(row)]
    except csv.Error as error:
        raise StatementUnreadable(f"Line {rows.line_num}: {error}.") from error


def _places(header: list[str]) -> dict[str, int]:
    plain = [name.lower().translate(str.maketrans("", "", " -_")) for name in header]
    found = {column: plain.index(name) for column, names in COLUMNS.items() for name in names[::-1] if name in plain}
    missing = [name for name in NEEDED if name not in found]
    if missing or not {"reference", "id"} & found.keys():
        wanted = ", ".join([*missing, *([] if {"reference", "id"} & found.keys() else ["reference or id"])])
        raise StatementUnreadable(f"Line 1: no column for {wanted}. Write for example: date,reference,amount,currency")
    return found


def _movement(row: list[str], places: Mapping[str, int], number: int) -> Movement:
    def cell(name: str) -> str:
        place = places.get(name)
        return row[place].strip() if place is not None and place < len(row) else ""

    kind = cell("kind").lower()
    if kind not in REFUNDS | PAYMENTS:
        raise StatementUnreadable(f"Line {number}: {cell('kind')!r} is no kind; write payment or refund.")
    if kind in PAYMENTS and cell("amount").startswith("-"):
        raise StatementUnreadable(f"Line {number}: a payment is not below zero; write refund for what was taken back.")
    reference, known = cell("reference"), cell("id")
    if not (reference or known):
        raise StatementUnreadable(f"Line {number}: neither a reference nor an id.")
    return Movement(
        kind=MovementKind.REFUND if kind in REFUNDS else MovementKind.PAYMENT,
        amount=_amount(cell("amount"), cell("currency").upper(), number),
        reference=references.checked(reference) or references.from_short(reference) or reference,
        ids={"statement": known} if known else {},
        at=_moment(cell("at"), number),
        fee=_amount(cell("fee"), cell("currency").upper(), number) if cell("fee") else None,
    )


def _amount(text: str, currency: str, number: int) -> Money:
    if not money.is_currency(currency):
        raise StatementUnreadable(f"Line {number}: {currency!r} is no currency of ISO 4217.")
    whole, point, decimals = text.replace(" ", "").replace("\u00a0", "").lstrip("-").partition(".")
    kept = decimals.rstrip("0") if len(decimals) > money.exponent(currency) else decimals
    try:
        return money.parse(whole + (point + kept if kept else ""), currency)
    except LedgerError as error:
        raise StatementUnreadable(f"Line {number}: {error}") from error


def _moment(text: str, number: int) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise StatementUnreadable(f"Line {number}: {text!r} is no date; write for example 2026-08-31.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
