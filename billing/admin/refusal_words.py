"""What operators read when an act on payments, refunds, payouts or subscriptions is refused."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import errors, refusal_words
from billing.gateways import errors as gateway_errors
from billing.models import Payment, Refund, Subscription
from billing.models.payments import PaymentStatus
from credits.admin import refusal_words as credit_words
from ledger import columns
from ledger.money import for_reader
from rest.acts import Words
from wallets.admin import refusal_words as wallet_words
from wallets.models import WithdrawalStatus

NOT_REFUNDABLE: dict[str, Any] = {
    **dict(PaymentStatus.choices),
    "refunded": _("refunded"),
    "free": _("free"),
    "lost in a dispute": _("lost in a dispute"),
}


def _label(model: Any, status: str) -> str:
    return str(dict(model._meta.get_field("status").choices).get(status, status))


def _nothing_left(refusal: errors.NotRefundable) -> str:
    state = NOT_REFUNDABLE.get(refusal.state, refusal.state)
    return gettext("There is nothing to refund; the payment: %(state)s.") % {"state": state}


def _too_much(refusal: errors.RefundTooLarge) -> str:
    most = columns.shown(refusal.refundable, refusal.currency)
    return gettext("At most %(most)s can still be refunded.") % {"most": most}


def _between_steps(refusal: errors.RefundBetweenSteps) -> str:
    if not refusal.nearest_amounts:
        return gettext("The gateway does not send back so little.")
    near = ", ".join(columns.shown(each, refusal.currency) for each in refusal.nearest_amounts)
    return gettext("The gateway does not send back this amount; the nearest: %(amounts)s.") % {"amounts": near}


def _cap_too_low(refusal: errors.CapTooLow) -> str:
    price = columns.shown(refusal.price, refusal.currency)
    return gettext("The pack costs %(price)s, and the monthly cap is less.") % {"price": price}


def _payment_over(refusal: errors.PaymentOver) -> str:
    return gettext("The payment is over: %(state)s.") % {"state": _label(Payment, refusal.state)}


def _refund_over(refusal: errors.RefundOver) -> str:
    return gettext("This cannot be done with the refund as it stands: %(state)s.") % {
        "state": _label(Refund, refusal.state)
    }


def _payout_known(refusal: errors.PayoutNotOpen) -> str:
    state = WithdrawalStatus(refusal.withdrawal_status).label
    return gettext("There is nothing to find out; the withdrawal: %(state)s.") % {"state": state}


def _file_refused(refusal: errors.EvidenceFileRefused) -> str:
    most = refusal.most_bytes // 1_000_000
    return gettext("The bank reads a PDF, a PNG or a JPEG of at most %(most)s MB.") % {"most": most}


def _declined(refusal: gateway_errors.Declined) -> str:
    return gettext("%(gateway)s refuses, and nothing moved: %(reason)s") % {
        "gateway": refusal.gateway,
        "reason": refusal,  # in the gateway's own words
    }


def _subscription(refusal: errors.SubscriptionState) -> str:
    return gettext("The subscription: %(state)s; %(what)s.") % {
        "state": _label(Subscription, refusal.state),
        "what": gettext(refusal.what),
    }


WORDS: Words = {
    **credit_words.WORDS,
    **wallet_words.WORDS,
    # payments, and the money that goes back
    errors.PaymentOver: _payment_over,
    errors.AttemptLive: _("The payment is under way at a gateway; a second one could be paid as well."),
    errors.PaymentOfInvoice: _("An invoice asks for this payment; cancel the invoice instead."),
    errors.CannotCancel: _("This payment cannot be cancelled at its gateway; left unpaid, it ends by itself."),
    errors.GatewaySilent: _("The gateway does not answer at the moment. Nothing was changed."),
    errors.GatewayUnsure: _("The gateway's answer was lost: it may have done it. It is asked again by itself."),
    errors.NotRefundable: _nothing_left,
    errors.RefundTooLarge: _too_much,
    errors.RefundBetweenSteps: _between_steps,
    errors.CreditsSpent: _("%(missing)s of the credits are spent or expired; this policy does not allow it."),
    errors.DisputeOpen: _("A dispute about this payment is open. Refund it, if need be, when the dispute is over."),
    errors.RefundPlanChanged: _("What it would do has changed meanwhile: look at the preview again."),
    errors.DraftChanged: _("The draft or its tax has changed meanwhile: look at the preview again."),
    errors.PartialNotPossible: _("The gateway can only refund this payment as a whole."),
    errors.ReasonMissing: _("Say why."),
    errors.RefundBeingSent: _("It is being sent right now. Look again in five minutes."),
    errors.RefundOver: _refund_over,
    errors.SettledWithDispute: _("It has gone already, and is settled with the dispute about its payment."),
    errors.SecondOperatorNeeded: _("A refund of this size is confirmed by somebody else than who asked for it."),
    errors.RefundBeyondYours: lambda refusal: (
        gettext("Refunds above %(limit)s are asked for by a colleague who may confirm refunds.")
        % {"limit": for_reader(refusal.limit)}
    ),
    errors.EvidenceUnsure: _(
        "The gateway's answer was lost. Look at the dispute in its dashboard; if the evidence is not there, send it "
        "again."
    ),
    errors.CannotAnswer: _("This gateway takes evidence in its own dashboard only."),
    errors.EvidenceFileRefused: _file_refused,
    errors.DisputeOver: _("The dispute is over, or was answered already."),
    # payouts, cases, exceptions
    errors.PayoutNotOpen: _payout_known,
    errors.PayoutNotSent: _("It has not been sent to any gateway yet."),
    errors.CaseClosed: _("The case is closed already."),
    errors.RefundWaits: _(
        "Its refund still waits: send the money and confirm the refund, or take it back. Then the case closes by "
        "itself."
    ),
    errors.ResolutionMissing: _("Say how the case ended."),
    errors.DiscrepancyClosed: _("This exception is resolved already."),
    # plans and saved cards
    errors.SubscriptionLive: _("There is a subscription to %(plan)s already; change it instead."),
    errors.SamePrice: _("The subscription has this plan at this price already."),
    errors.SubscriptionState: _subscription,
    errors.ChangeNotNow: refusal_words.WORDS[errors.ChangeNotNow],
    errors.IntervalNotLater: _(
        "The gateway that renews this plan charges another interval at once: change now to a dearer one, or cancel "
        "with the period and begin anew then."
    ),
    errors.ChangePlanned: _(
        "Another plan begins with the next period: change to the present plan first, which takes that back."
    ),
    errors.UnknownPlan: refusal_words.WORDS[errors.UnknownPlan],
    errors.PlanPriceMissing: refusal_words.WORDS[errors.PlanPriceMissing],
    errors.NoGatewayTakesIt: _("No gateway takes this payment."),
    errors.GatewaysDown: _("No gateway that could take this payment answers at the moment. Nothing was charged."),
    errors.NoSavedMethod: _("The customer has no saved card."),
    errors.MethodPaysPlan: _("The plan %(plan)s is paid with this card: give it another one first."),
    errors.TopUpOff: _("The automatic top-up is not switched on."),
    errors.CapTooLow: _cap_too_low,
    errors.ThresholdTooHigh: _("The pack brings %(most)s credits: the threshold must not be more."),
    # invoices and coupons
    errors.DraftInvalid: lambda refusal: gettext(str(refusal)),
    errors.NotInvoiced: _("Only what was paid to us is invoiced, and only a refund that has arrived is credited."),
    errors.DraftIssued: _("The invoice of this draft is issued already."),
    errors.NotCancellable: _("Only an unpaid invoice is cancelled; a paid one is refunded."),
    errors.TaxRateUnknown: _("The tax rate of %(country)s is not known. Add it under Tax rates."),
    errors.NoMailAddress: _("Nobody told us an e-mail address of the buyer."),
    errors.NotRendered: _("The document is being made. Ask again in a moment."),
    errors.CouponOver: _("The coupon is stopped already."),
    errors.NotYours: _("There is nothing here."),
    # gateways
    gateway_errors.Declined: _declined,
    gateway_errors.Unavailable: _("%(gateway)s does not answer at the moment. Nothing was changed."),
    gateway_errors.Uncertain: _("Nobody knows yet whether %(gateway)s has done it. It is asked until it says."),
}
