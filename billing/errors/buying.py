"""What is refused at the checkout: the wish, the gateways, the coupon."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from billing.errors.base import BillingError


class AmountNotYours(BillingError):
    def __init__(self) -> None:
        super().__init__("The price comes from the catalogue: send a pack or a plan. Only services may name an amount.")


class ReturnUrlRefused(BillingError):
    """We send buyers only to hosts that we know."""

    def __init__(self, field: str, allowed: Sequence[str]) -> None:
        self.field = field
        self.allowed_hosts = list(allowed)
        hosts = ", ".join(self.allowed_hosts) or "none"
        super().__init__(f"{field} must be a plain https address of an allowed host: {hosts}.")


class PhoneInvalid(BillingError):
    def __init__(self) -> None:
        super().__init__("Send a telephone number in international form, such as +2250701020304.")


class UnknownGateways(BillingError):
    def __init__(self, names: Sequence[str], known: Sequence[str]) -> None:
        self.known_gateways = list(known)
        unknown = ", ".join(names)
        super().__init__(f"No gateway is called {unknown}. Known: {', '.join(known) or 'none'}.")


class NoGatewayTakesIt(BillingError):
    """No gateway can take this payment, or every one that was asked said no; `reasons` has each one's."""

    def __init__(self, reasons: Sequence[Mapping[str, Any]]) -> None:
        self.reasons = [dict(reason) for reason in reasons]
        super().__init__("No gateway can take this payment; reasons says why for each.")


class GatewaysDown(BillingError):
    """Gateways that could take it are there, and none of them answers."""

    def __init__(self, reasons: Sequence[Mapping[str, Any]], retry_after_seconds: int | None = None) -> None:
        self.reasons = [dict(reason) for reason in reasons]
        self.retry_after_seconds = retry_after_seconds
        super().__init__("No gateway that could take this payment answers at the moment. Nothing was charged.")


class UnknownCoupon(BillingError):
    """One that was stopped or has not begun looks the same as none."""

    def __init__(self) -> None:
        super().__init__("There is no such coupon.")


class CouponExpired(BillingError):
    def __init__(self) -> None:
        super().__init__("The coupon is no longer valid.")


class CouponUsedUp(BillingError):
    def __init__(self) -> None:
        super().__init__("The coupon has been used as often as it can be.")


class CouponUsedByYou(BillingError):
    """As often as one customer may. A payment that is not over yet counts; when it ends unpaid, it does not."""

    def __init__(self, payment: UUID | None = None) -> None:
        self.payment = str(payment) if payment else None
        waits = " A payment with it is under way: pay it, or cancel it." if payment else ""
        super().__init__(f"You have used this coupon already.{waits}")


class CouponFirstPurchaseOnly(BillingError):
    def __init__(self) -> None:
        super().__init__("The coupon is for a first purchase only.")


class CouponNotForThis(BillingError):
    def __init__(self) -> None:
        super().__init__("The coupon is not for what is bought here.")


class CouponCurrency(BillingError):
    def __init__(self, known: Sequence[str]) -> None:
        self.known_currencies = list(known)
        super().__init__(f"The coupon is not for this currency. It is for: {', '.join(known)}.")


class CouponNeedsPurchase(BillingError):
    def __init__(self) -> None:
        super().__init__("This coupon goes with a purchase: send it with a checkout.")


class DiscountNotPayable(BillingError):
    """The price could be paid, and what the discount leaves of it cannot."""

    def __init__(
        self, amount: int, currency: str, nearest: Sequence[int], reasons: Sequence[Mapping[str, Any]]
    ) -> None:
        self.amount = amount
        self.currency = currency
        self.nearest_amounts = list(nearest)
        self.reasons = [dict(reason) for reason in reasons]
        near = " or ".join(str(each) for each in nearest) or "none"
        super().__init__(
            f"With the discount {amount} {currency} in minor units would be left, which no gateway takes. "
            f"The nearest that could be paid: {near}."
        )


class CouponInvalid(BillingError):
    """What an operator wants to make makes no sense; the sentence says what would."""


class CouponOver(BillingError):
    def __init__(self, code: str) -> None:
        super().__init__(f"The coupon {code} is stopped already.")
