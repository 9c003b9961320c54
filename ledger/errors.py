"""What the books refuse; each class is a fact that a caller can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from ledger.models import Account, Entry, Hold
    from ledger.money import Money


class LedgerError(Exception):
    """The books refuse; nothing has moved."""


class InvalidAmount(LedgerError):
    """Not an amount we can book: a float, zero, a sign, too many decimals, or more than the largest amount."""


class NotDecimal(InvalidAmount):
    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(f"{text!r} is not a decimal number like 12 or 9.99.")


class TooManyDecimals(InvalidAmount):
    def __init__(self, text: str, *, decimals: int, unit: str, digits: int) -> None:
        self.text, self.decimals, self.unit, self.digits = text, decimals, unit, digits
        super().__init__(f"{text} has {decimals} decimals; {unit} has {digits}.")


class UnknownUnit(LedgerError):
    """Neither a currency of ISO 4217 nor a possible credit unit."""


class UnitMismatch(LedgerError):
    """Two units were mixed; nothing converts by itself."""


class InvalidKey(LedgerError):
    """A key is a sentence of 1 to 400 printable characters."""


class UnknownAccount(LedgerError):
    """The account is not in the books."""


class AccountDiffers(LedgerError):
    """An account of that name exists with another unit or another nature."""

    def __init__(self, account: Account) -> None:
        self.account = account
        nature = "guarded" if account.guarded else "house"
        super().__init__(f"The account {account.name} exists already, as a {nature} account in {account.unit}.")


class NotGuarded(LedgerError):
    """A house account has no limit of its own, so nothing can be held on it or limited."""


class InsufficientFunds(LedgerError):
    """The account would fall below its floor; `missing` is what it lacks."""

    def __init__(self, account: Account, missing: Money) -> None:
        self.account = account
        self.missing = missing
        super().__init__(f"{account.name} lacks {missing}.")


class KeyReused(LedgerError):
    """The key has already booked something else."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"The key {key} has already been used for something else.")


class HoldResolved(LedgerError):
    """The hold has been settled or voided already; `hold.state` says which."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        super().__init__(f"The hold {hold.key} is {hold.state} already.")


class UnknownHold(LedgerError):
    """The hold is not in the books."""


class AboveHold(LedgerError):
    """More was to be settled than is held; `held` is what the hold has."""

    def __init__(self, hold: Hold, held: Money) -> None:
        self.hold = hold
        self.held = held
        super().__init__(f"The hold {hold.key} has only {held}.")


class AboveEntry(LedgerError):
    """More was to be reversed than is left; `left` has it by the number of the transfer."""

    def __init__(self, entry: Entry, left: dict[int, Money]) -> None:
        self.entry = entry
        self.left = left
        super().__init__(f"The entry {entry.pk} has less than that left to reverse.")


class NotReversible(LedgerError):
    """A reversal is not reversed: book the act again under a new key."""


class BooksDiffer(LedgerError):
    """A check found faults in the books; `names` are the checks."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = names
        super().__init__("The books are not in order: " + ", ".join(names) + ".")
