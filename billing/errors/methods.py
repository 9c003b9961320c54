"""What is refused of saved cards and automatic top-ups."""

from uuid import UUID

from billing.errors.base import BillingError
from billing.gateways.errors import FailureCategory


class TopUpOff(BillingError):
    def __init__(self) -> None:
        super().__init__("The automatic top-up is not switched on.")


class NoSavedMethod(BillingError):
    def __init__(self) -> None:
        super().__init__("There is no saved card: add one, or pay once with save_method.")


class NoGatewayKeepsMethods(BillingError):
    def __init__(self) -> None:
        super().__init__("No gateway that is switched on saves cards for later charges.")


class UnknownMethod(BillingError):
    """One of somebody else's and one that was removed look the same as none."""

    def __init__(self) -> None:
        super().__init__("No card of this customer is saved under this id; payment-methods lists them.")


class MethodRefused(BillingError):
    """Nothing was charged, and this payment is over."""

    def __init__(self, payment: UUID, gateway: str, reason: str) -> None:
        self.payment = payment
        self.gateway = gateway
        self.reason = str(reason)
        told = "The card was not charged."
        if reason == FailureCategory.AUTHENTICATION_REQUIRED:
            told = "The card was not charged: its bank wants its owner to confirm."
        super().__init__(f"{told} Pay with another one, or on the gateway's page, without payment_method.")


class MethodPaysPlan(BillingError):
    """Its gateway renews a plan with it."""

    def __init__(self, plan: str) -> None:
        self.plan = plan
        super().__init__(f"The plan {plan} is paid with this card: give it another one first.")


class CapTooLow(BillingError):
    def __init__(self, price: int, currency: str) -> None:
        self.price = price
        self.currency = currency
        super().__init__(f"The pack costs {price} {currency} in minor units, and the monthly cap is less.")


class ThresholdTooHigh(BillingError):
    """Above what the pack brings every purchase would call for the next one."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"The pack brings {most} credits: the threshold must not be more.")
