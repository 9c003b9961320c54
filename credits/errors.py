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

    def __init__(self, *, amount: str, reasons: list[str], nearest: list[str]) -> None:
        self.amount = amount
        self.reasons = reasons
        self.nearest = nearest
        super().__init__(f"{amount} cannot be paid: {'; '.join(reasons)}. Nearest: {' or '.join(nearest)}.")


class CatalogueMistake(CreditsError):
    """A catalogue file cannot be taken as it is; each mistake names its file, line, path and what to write instead."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(self.mistakes))
