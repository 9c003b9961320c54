"""What the wallets refuse, and the facts a caller can act on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ledger.money import Money


class WalletsError(Exception):
    """The root of this app's refusals."""


class NotYours(WalletsError):
    """There is no such thing, or it belongs to somebody else: callers cannot tell which."""

    def __init__(self) -> None:
        super().__init__("There is nothing here.")


class KeyReused(WalletsError):
    """The key has already stood for another act."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"The key {key!r} has already been used for something else.")


class InvalidValue(WalletsError):
    """What was asked cannot be recorded as it is; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class UnknownSaleType(WalletsError):
    def __init__(self, code: str, known: Iterable[str]) -> None:
        self.known_types = sorted(known)
        super().__init__(f"No sale is of type {code!r}. Known types: {', '.join(self.known_types) or 'none'}.")


class UnknownSellerKind(WalletsError):
    def __init__(self, code: str, known: Iterable[str]) -> None:
        self.known_kinds = sorted(known)
        super().__init__(f"No seller is a {code!r}. Known kinds: {', '.join(self.known_kinds) or 'none'}.")


class BelowMinimum(WalletsError):
    """Less than may be sold or withdrawn at a time."""

    def __init__(self, minimum: Money) -> None:
        self.minimum = minimum.minor
        self.currency = minimum.unit
        super().__init__(f"The least is {minimum}.")


class DailyMaximumReached(WalletsError):
    def __init__(self, maximum: Money, left: Money) -> None:
        self.maximum = maximum.minor
        self.left = left.minor
        self.currency = maximum.unit
        super().__init__(f"At most {maximum} a day may be withdrawn; {left} are left today.")


class InsufficientFunds(WalletsError):
    """More than is available; `upcoming` says what becomes available when."""

    def __init__(self, *, needed: Money, available: Money, upcoming: Sequence[dict[str, Any]] = ()) -> None:
        self.needed = needed.minor
        self.available = available.minor
        self.missing = needed.minor - available.minor
        self.currency = needed.unit
        self.upcoming = list(upcoming)
        super().__init__(f"{needed} are more than the {available} that are available.")


class WithdrawalOpen(WalletsError):
    """One withdrawal at a time."""

    def __init__(self, withdrawal: Any) -> None:
        self.withdrawal = withdrawal.pk
        super().__init__(f"The withdrawal {withdrawal.pk} is still {withdrawal.status}. Wait for it, or cancel it.")


class WithdrawalState(WalletsError):
    """The withdrawal has moved on: what was asked is no longer possible."""

    def __init__(self, status: str) -> None:
        self.withdrawal_status = status
        super().__init__(f"The withdrawal is {status} already.")


class SameOperator(WalletsError):
    """Two different people are needed."""

    def __init__(self) -> None:
        super().__init__("You have agreed to this already: it needs a second person.")


class SellerCannotCover(WalletsError):
    """The seller has withdrawn what is to be taken back, and the sale's rule says to refuse then."""

    def __init__(self, *, missing: Money) -> None:
        self.missing = missing.minor
        self.currency = missing.unit
        super().__init__(f"The seller lacks {missing} of it.")


class AboveSale(WalletsError):
    """More was to be taken back than is left of the sale."""

    def __init__(self, *, left: Money) -> None:
        self.left = left.minor
        self.currency = left.unit
        super().__init__(f"Only {left} of this sale are left.")


class TakeBackState(WalletsError):
    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"What was to be taken back is {state} already.")


class AdjustmentState(WalletsError):
    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(f"The adjustment is {status} already.")


class WrongGateway(WalletsError):
    """The gateway's name is none that could stand in the books."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is no gateway's name.")


def later(moment: datetime, amount: int) -> dict[str, Any]:
    """One line of what becomes available when, as answers say it."""
    return {"at": moment, "amount": amount}
