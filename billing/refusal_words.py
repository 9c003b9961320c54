"""What a customer reads on a page when an act is refused: an error's own text is for developers who call the API."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from billing import errors
from billing.gateways.errors import GatewayError
from credits import errors as credit_errors

REFUSALS = (errors.BillingError, credit_errors.CreditsError, GatewayError)
UNHEARD = _("The payment service does not answer. Try again in a moment.")
OTHERWISE = _("This is not possible at the moment.")
WORDS: Mapping[type[Exception], Any] = {
    errors.SubscriptionLive: _("You have a plan of this product already. You can change it here."),
    errors.SamePrice: _("You have this plan at this price already."),
    errors.SubscriptionState: _("The plan is not in a state in which this is possible."),
    errors.ChangeNotNow: _("This change can only begin with the next period."),
    errors.IntervalNotLater: _(
        "This plan cannot change its interval with the next period. Cancel it at the end of the period, and begin the "
        "other one then."
    ),
    errors.ChangePlanned: _("Another plan begins with the next period. Choose your present plan first to keep it."),
    errors.UnknownPlan: _("This is not for sale any more."),
    errors.PlanPriceMissing: _("This is not for sale in this currency."),
    credit_errors.UnknownPack: _("This is not for sale any more."),
    credit_errors.PriceMissing: _("This is not for sale in this currency."),
    errors.NoGatewayTakesIt: _("No payment service takes this amount in this currency. Try another currency."),
    errors.AttemptLive: _(
        "Your last payment of this may have gone through: we are asking the payment service. Wait a moment before you "
        "try again."
    ),
    errors.UnknownMethod: _("This card is not saved any more. Choose another one."),
    errors.MethodRefused: _("Your card was not charged. Pay with another one, or on the payment service's page."),
    errors.GatewaysDown: UNHEARD,
    errors.GatewaySilent: UNHEARD,
    GatewayError: UNHEARD,
}


def words(refusal: Exception) -> str:
    return str(next((said for kind, said in WORDS.items() if isinstance(refusal, kind)), OTHERWISE))
