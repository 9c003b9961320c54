"""What is refused of plans and subscriptions."""

from collections.abc import Sequence
from uuid import UUID

from billing.errors.base import BillingError


class UnknownPlan(BillingError):
    def __init__(self, code: str) -> None:
        self.plan = code
        super().__init__(f"No plan on sale has the code {code!r}.")


class PlanPriceMissing(BillingError):
    """The plan is not sold in this currency by this interval."""

    def __init__(self, code: str, known: Sequence[tuple[str, str]]) -> None:
        self.known_prices = [{"currency": currency, "interval": interval} for currency, interval in known]
        super().__init__(f"The plan {code!r} is not sold like this; known_prices says in which ways it is.")


class SubscriptionLive(BillingError):
    """The customer has one of this catalogue already."""

    def __init__(self, subscription: UUID, plan: str, status: str) -> None:
        self.subscription = subscription
        self.plan = plan
        self.state = status
        super().__init__(f"There is a subscription to {plan} already; change it instead.")


class SubscriptionAmbiguous(BillingError):
    """Several catalogues' plans are subscribed to, and the request does not say which is meant."""

    def __init__(self, catalogues: Sequence[str]) -> None:
        self.catalogues = list(catalogues)
        super().__init__(f"Say which one with ?catalogue=: {', '.join(catalogues)}.")


class SamePrice(BillingError):
    def __init__(self) -> None:
        super().__init__("The subscription has this plan at this price already.")


class SubscriptionState(BillingError):
    """What was asked for does not fit the state that the subscription is in."""

    def __init__(self, status: str, what: str) -> None:
        self.state = status
        self.what = what
        super().__init__(f"The subscription is {status}; {what}.")


class ChangeNotNow(BillingError):
    """This change can only begin with the next period."""

    def __init__(self) -> None:
        super().__init__("This change is possible at the end of the period only; send at: period_end.")


class IntervalNotLater(BillingError):
    """Its gateway charges another interval at once and gives nothing for what is left, so that it cannot wait there."""

    def __init__(self) -> None:
        super().__init__(
            "The gateway that renews this plan charges another interval at once: change now to a dearer one, or cancel "
            "at the end of the period and subscribe anew then."
        )


class ChangePlanned(BillingError):
    """Its gateway has the next period's price already, and would reckon from that what the present plan is worth."""

    def __init__(self) -> None:
        super().__init__(
            "Another plan begins with the next period: change to the present plan first, which takes that back, and "
            "then to the new one."
        )
