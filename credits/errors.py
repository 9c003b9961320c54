"""What the credits refuse, and the facts a caller can act on."""

from collections.abc import Iterable


class CreditsError(Exception):
    """The root of this app's refusals."""


class UnknownAction(CreditsError):
    def __init__(self, action: str, known: Iterable[str]) -> None:
        self.action = action
        self.known_actions = sorted(known)
        super().__init__(f"No action is called {action!r}. Known actions: {', '.join(self.known_actions) or 'none'}.")


class UnknownPack(CreditsError):
    def __init__(self, pack: str) -> None:
        self.pack = pack
        super().__init__(f"No pack on sale is called {pack!r}.")


class PriceMissing(CreditsError):
    """The pack exists, but not in this currency."""

    def __init__(self, pack: str, currency: str, known: Iterable[str]) -> None:
        self.pack = pack
        self.currency = currency
        self.known_currencies = sorted(known)
        known_text = ", ".join(self.known_currencies) or "none"
        super().__init__(f"The pack {pack!r} has no price in {currency}. Currencies it is sold in: {known_text}.")


class AmountNotAllowed(CreditsError):
    """The action's cost is fixed by the cost table: an amount of the caller's own has no meaning."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"The cost of {action!r} comes from the cost table. Leave the amount out.")


class AmountRequired(CreditsError):
    def __init__(self, action: str, minimum: int, maximum: int) -> None:
        self.action = action
        self.minimum = minimum
        self.maximum = maximum
        super().__init__(f"{action!r} costs between {minimum} and {maximum}: say the amount.")


class AmountOutOfRange(CreditsError):
    def __init__(self, action: str, minimum: int, maximum: int) -> None:
        self.action = action
        self.minimum = minimum
        self.maximum = maximum
        super().__init__(f"The amount for {action!r} must be between {minimum} and {maximum}.")


class QuantityRequired(CreditsError):
    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"{action!r} is charged per unit: say the quantity.")


class QuantityOutOfRange(CreditsError):
    """The quantity is not positive, or the total would pass what an account can hold."""

    def __init__(self, action: str, maximum: int) -> None:
        self.action = action
        self.maximum = maximum
        super().__init__(f"The quantity for {action!r} must be between 1 and {maximum}.")


class QuantityNotAllowed(CreditsError):
    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"{action!r} is charged by amount. Leave the quantity out.")


class VersionInThePast(CreditsError):
    """A new price or cost begins now or later, after every version before it: history stays as it was."""


class AmountNotPayable(CreditsError):
    """A gateway that takes this currency cannot take this amount."""

    def __init__(self, *, amount: str, gateways: list[str], reasons: list[str], nearest: list[str]) -> None:
        self.amount = amount
        self.gateways = gateways
        self.reasons = reasons
        self.nearest = nearest
        super().__init__(f"{amount} cannot be paid: {'; '.join(reasons)}. Nearest: {' or '.join(nearest)}.")


class CatalogueMistake(CreditsError):
    """A catalogue file cannot be taken as it is; each mistake names its file, line, path and what to write instead."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(self.mistakes))


# ---------------------------------------------------------------- using credits


class InsufficientCredits(CreditsError):
    def __init__(self, *, needed: int, available: int, missing: int, unit: str) -> None:
        self.needed = needed
        self.available = available
        self.missing = missing
        self.unit = unit
        super().__init__(f"This needs {needed} {unit}: {available} available, {missing} missing.")


class LimitReached(CreditsError):
    """`kind` is daily, monthly, token_daily or token_monthly; days and months are UTC's."""

    def __init__(self, *, kind: str, limit: int, resets_at: str) -> None:
        self.kind = kind
        self.limit = limit
        self.resets_at = resets_at
        super().__init__(f"This would go over the {kind.replace('_', ' ')} limit of {limit}. It ends at {resets_at}.")


class FairUseReached(CreditsError):
    def __init__(self, *, limit: int, resets_at: str) -> None:
        self.limit = limit
        self.resets_at = resets_at
        super().__init__(f"The fair use of {limit} a month is reached. It begins anew at {resets_at}.")


class HoldResolved(CreditsError):
    """The hold has been settled or released, or has expired, already."""

    def __init__(self, *, state: str) -> None:
        self.state = state
        super().__init__(f"The hold is {state} already.")


class HoldExceeded(CreditsError):
    def __init__(self, *, held: int) -> None:
        self.held = held
        super().__init__(f"Only {held} are held.")


class SpendExceeded(CreditsError):
    """More was to be given back than is left of the spend."""

    def __init__(self, *, left: int) -> None:
        self.left = left
        super().__init__(f"Only {left} of this spend are left to give back.")


class KeyReused(CreditsError):
    """The key has already stood for another act."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"The key {key!r} has already been used for something else.")


class NotYours(CreditsError):
    """There is no such thing, or it belongs to somebody else: callers cannot tell which."""

    def __init__(self) -> None:
        super().__init__("There is nothing here.")


class InvalidUse(CreditsError):
    """What was asked cannot be recorded as it is; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class IssueTooLarge(CreditsError):
    """An operator without the right to adjust gives one customer no more than this in a day."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"More than {most} credits a day are given by somebody who may adjust credits.")


class GrantClosed(CreditsError):
    """Nothing is left of the grant, or it was revoked: it can no longer be changed."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"The grant is {state}.")
