"""How the refusals of billing are told."""

from billing import errors as billing
from billing.gateways import errors as gateway_errors
from config.problem_kinds import NOT_FOUND, Problem

OF_BILLING: dict[type[BaseException], Problem] = {
    billing.BillingError: Problem(status=409, title="Refused", meaning="Billing refuses this as things stand."),
    billing.NotYours: NOT_FOUND,
    billing.PayoutNotOpen: Problem(
        status=409,
        title="Nothing to find out",
        meaning="How this withdrawal ended is known.",
        facts=("withdrawal_status",),
    ),
    billing.PayoutNotSent: Problem(
        status=409, title="Not sent yet", meaning="No gateway knows of this withdrawal yet."
    ),
    billing.AmountNotYours: Problem(
        status=400, title="Amount not yours", meaning="Buyers name what they buy; the catalogue says what it costs."
    ),
    billing.ReturnUrlRefused: Problem(
        status=400,
        title="Return address refused",
        meaning="Buyers are only sent to hosts that the shop has named; field says which address is meant.",
        facts=("field", "allowed_hosts"),
    ),
    billing.PhoneInvalid: Problem(
        status=400, title="Invalid telephone number", meaning="A number is sent in international form."
    ),
    billing.UnknownGateways: Problem(
        status=400, title="Unknown gateway", meaning="There is no such gateway.", facts=("known_gateways",)
    ),
    billing.NoGatewayTakesIt: Problem(
        status=422,
        title="No gateway takes it",
        meaning="Each gateway has a reason why it cannot take this payment; reasons has them.",
        facts=("reasons",),
    ),
    billing.GatewaysDown: Problem(
        status=503,
        title="Gateways down",
        meaning="No gateway that could take this payment answers. Nothing was charged; try again.",
        facts=("reasons",),
        retry=True,
    ),
    billing.UnknownCoupon: Problem(
        status=400, title="Unknown coupon", meaning="No coupon that can be used has this code."
    ),
    billing.CouponExpired: Problem(status=409, title="Coupon expired", meaning="The coupon's time is over."),
    billing.CouponUsedUp: Problem(
        status=409, title="Coupon used up", meaning="The coupon has been used as often as it can be."
    ),
    billing.CouponUsedByYou: Problem(
        status=409,
        title="Coupon used by you",
        meaning="The customer has used it as often as one may; payment names one with it that is not over yet.",
        facts=("payment",),
    ),
    billing.CouponFirstPurchaseOnly: Problem(
        status=409, title="First purchase only", meaning="The coupon is for customers who have bought nothing yet."
    ),
    billing.CouponNotForThis: Problem(
        status=400, title="Coupon not for this", meaning="The coupon is for other things than what is bought."
    ),
    billing.CouponCurrency: Problem(
        status=400,
        title="Coupon not in this currency",
        meaning="The coupon takes amounts off, and none of this currency; known_currencies says of which.",
        facts=("known_currencies",),
    ),
    billing.CouponNeedsPurchase: Problem(
        status=400, title="Coupon needs a purchase", meaning="The coupon goes with a checkout, not alone."
    ),
    billing.DiscountNotPayable: Problem(
        status=422,
        title="Discount not payable",
        meaning="What the discount leaves is an amount that no gateway takes; nearest_amounts says which they would.",
        facts=("amount", "currency", "nearest_amounts", "reasons"),
    ),
    billing.CouponInvalid: Problem(
        status=400, title="Coupon invalid", meaning="The coupon that is to be made contradicts itself."
    ),
    billing.CouponOver: Problem(status=409, title="Coupon over", meaning="The coupon is stopped already."),
    billing.PaymentOver: Problem(
        status=409, title="Payment over", meaning="The payment has ended; state says how.", facts=("state",)
    ),
    billing.PaymentOfInvoice: Problem(
        status=409,
        title="Payment of an invoice",
        meaning="An invoice asks for this payment: cancel the invoice, and the payment ends with it.",
    ),
    billing.AttemptLive: Problem(
        status=409,
        title="Payment under way",
        meaning="Another payment of this, or another try, may be paid already; payment names it. We are asking.",
        facts=("payment",),
    ),
    billing.CannotCancel: Problem(
        status=409,
        title="Cannot cancel",
        meaning="The gateway cannot take the payment back; left unpaid, it ends by itself.",
        facts=("gateway",),
    ),
    billing.GatewaySilent: Problem(
        status=503,
        title="Gateway silent",
        meaning="The gateway does not answer. Nothing was changed; try again.",
        facts=("gateway",),
        retry=True,
    ),
    billing.GatewayUnsure: Problem(
        status=503,
        title="Gateway unsure",
        meaning="The gateway's answer was lost, and it may have acted. It is asked again by itself.",
        facts=("gateway",),
        retry=True,
    ),
    billing.NotRefundable: Problem(
        status=409, title="Not refundable", meaning="Nothing was paid, or nothing is left of it.", facts=("state",)
    ),
    billing.RefundTooLarge: Problem(
        status=422,
        title="Refund too large",
        meaning="More than is left of the payment; refundable is what is left, refunds under way taken off.",
        facts=("refundable", "currency"),
    ),
    billing.RefundBetweenSteps: Problem(
        status=422,
        title="Refund between steps",
        meaning="The gateway sends back whole steps of the currency only; nearest_amounts says which it would.",
        facts=("amount", "currency", "nearest_amounts"),
    ),
    billing.CreditsSpent: Problem(
        status=409,
        title="Credits spent",
        meaning="The policy wants credits back that are spent or expired; refundable is what it allows.",
        facts=("missing", "refundable"),
    ),
    billing.DisputeOpen: Problem(
        status=409,
        title="Dispute open",
        meaning="The buyer's bank decides about this money; a refund could pay it twice.",
        facts=("dispute",),
    ),
    billing.UnknownPlan: Problem(status=400, title="Unknown plan", meaning="No plan on sale has this code."),
    billing.PlanPriceMissing: Problem(
        status=400,
        title="Plan price missing",
        meaning="The plan is not sold in this currency by this interval; known_prices says in which ways it is.",
        facts=("known_prices",),
    ),
    billing.SubscriptionLive: Problem(
        status=409,
        title="Subscription live",
        meaning="The customer has a subscription of this catalogue already; subscription names it.",
        facts=("subscription", "plan", "state"),
    ),
    billing.SubscriptionAmbiguous: Problem(
        status=400,
        title="Subscription ambiguous",
        meaning="The customer has several; catalogue says which is meant.",
        facts=("catalogues",),
    ),
    billing.SamePrice: Problem(
        status=409, title="Same price", meaning="The subscription has this plan at this price already."
    ),
    billing.SubscriptionState: Problem(
        status=409,
        title="Subscription state",
        meaning="The subscription is in a state in which this cannot be done.",
        facts=("state",),
    ),
    billing.ChangeNotNow: Problem(
        status=409, title="Change not now", meaning="This change can only begin with the next period."
    ),
    billing.IntervalNotLater: Problem(
        status=409,
        title="Interval not later",
        meaning="The gateway that renews the plan charges another interval at once, so that it cannot begin later.",
    ),
    billing.ChangePlanned: Problem(
        status=409,
        title="Change planned",
        meaning="Another plan begins with the next period; take that back first, by changing to the present plan.",
    ),
    billing.TaxNotAdded: Problem(
        status=409,
        title="Tax not added",
        meaning="Prices before tax, which this gateway would renew without the tax; the detail says what to change.",
        facts=("catalogue", "gateway"),
    ),
    billing.TaxRateUnknown: Problem(
        status=409,
        title="Tax rate unknown",
        meaning="Nobody has told us the tax rate of this country yet; an operator adds it. Nothing was charged.",
        facts=("country",),
    ),
    billing.NotInvoiced: Problem(
        status=409, title="Not invoiced", meaning="Only what was paid to us is invoiced, and only refunds are credited."
    ),
    billing.DraftInvalid: Problem(
        status=400, title="Draft invalid", meaning="What is to be invoiced makes no sense; the detail says why."
    ),
    billing.DraftIssued: Problem(status=409, title="Draft issued", meaning="A draft is issued once."),
    billing.NotCancellable: Problem(
        status=409,
        title="Not cancellable",
        meaning="Only an invoice that nobody has paid is cancelled; what was paid is refunded.",
        facts=("state",),
    ),
    billing.NotRendered: Problem(
        status=409, title="Not rendered yet", meaning="The document is being made; ask again in a moment."
    ),
    billing.ReasonMissing: Problem(status=400, title="Reason missing", meaning="This act needs a reason or a proof."),
    billing.TopUpOff: Problem(
        status=404, title="Top-up off", meaning="The customer has no automatic top-up: they never agreed, or withdrew."
    ),
    billing.NoSavedMethod: Problem(
        status=409,
        title="No saved card",
        meaning="Nothing can be charged: payment-methods saves a card, and so does a checkout with save_method.",
    ),
    billing.NoGatewayKeepsMethods: Problem(
        status=422, title="No gateway saves cards", meaning="No gateway that is switched on saves cards."
    ),
    billing.UnknownMethod: Problem(
        status=400, title="Unknown saved card", meaning="No card of this customer is saved under this id."
    ),
    billing.MethodRefused: Problem(
        status=402,
        title="Card not charged",
        meaning="The saved card was not charged, for this reason; a checkout without payment_method leads to a page.",
        facts=("payment", "gateway", "reason"),
    ),
    billing.MethodPaysPlan: Problem(
        status=409,
        title="Method pays a plan",
        meaning="A gateway renews a plan with this card; plan says which. Its portal takes another card.",
        facts=("plan",),
    ),
    # Raised by the acts that ask one gateway and have no other to go to; a gateway's own words are not ours to show.
    gateway_errors.GatewayError: Problem(
        status=503,
        title="Gateway unclear",
        meaning="The gateway does not answer, or not clearly. Ask again how things stand; then try again.",
        detail="The gateway gave no clear answer. Try again in a moment.",
        facts=("gateway",),
        retry=True,
    ),
    gateway_errors.Declined: Problem(
        status=409,
        title="Gateway refused",
        meaning="The gateway refuses this as things stand there.",
        detail="The gateway refuses this as things stand.",
        facts=("gateway",),
    ),
    billing.CapTooLow: Problem(
        status=422,
        title="Cap too low",
        meaning="The monthly cap is less than one pack costs; price is what it costs.",
        facts=("price", "currency"),
    ),
    billing.ThresholdTooHigh: Problem(
        status=422,
        title="Threshold too high",
        meaning="The pack brings fewer credits than the threshold; most is what it brings.",
        facts=("most",),
    ),
}
