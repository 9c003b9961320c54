"""What billing refuses, and the facts a caller can act on."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from ledger.money import Money


class BillingError(Exception):
    """The root of this app's refusals."""


class NotYours(BillingError):
    """There is no such payment or refund, or it belongs to somebody else: both look the same."""


# ---------------------------------------------------------------- automatic top-up


class TopUpOff(BillingError):
    def __init__(self) -> None:
        super().__init__("The automatic top-up is not switched on.")


class NoSavedMethod(BillingError):
    def __init__(self) -> None:
        super().__init__("No card is kept for later charges: add one, or pay once with save_method.")


class NoGatewayKeepsMethods(BillingError):
    def __init__(self) -> None:
        super().__init__("No gateway that is switched on keeps cards for later charges.")


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


# ---------------------------------------------------------------- payouts


class PayoutNotOpen(BillingError):
    """Only of what nobody knows can people say how it ended."""

    def __init__(self, status: str) -> None:
        self.withdrawal_status = status
        super().__init__(f"The withdrawal is {status}: there is nothing to find out.")


class PayoutNotSent(BillingError):
    def __init__(self) -> None:
        super().__init__("It has not been sent to any gateway yet.")


# ---------------------------------------------------------------- checkout


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


# ---------------------------------------------------------------- coupons


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


# ---------------------------------------------------------------- payments


class PaymentOver(BillingError):
    def __init__(self, payment: UUID, status: str) -> None:
        self.payment = payment
        self.state = status
        super().__init__(f"The payment is {status}.")


class AttemptLive(BillingError):
    """Another attempt of this payment could still be paid."""

    def __init__(self, payment: UUID) -> None:
        self.payment = payment
        super().__init__("The payment is under way at a gateway; a second one could be paid as well.")


class PaymentOfInvoice(BillingError):
    """An invoice asks for it: as long as that stands, so does the payment."""

    def __init__(self, payment: UUID) -> None:
        self.payment = payment
        super().__init__("An invoice asks for this payment; cancel the invoice instead.")


class CannotCancel(BillingError):
    """The gateway knows no way back, or the buyer may be paying just now."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("This payment cannot be cancelled at its gateway; left unpaid, it ends by itself.")


class GatewaySilent(BillingError):
    """The gateway did not answer the question; nothing has changed here."""

    def __init__(self, gateway: str, retry_after_seconds: int | None = None) -> None:
        self.gateway = gateway
        self.retry_after_seconds = retry_after_seconds
        super().__init__("The gateway does not answer at the moment. Nothing was changed.")


# ---------------------------------------------------------------- refunds


class NotRefundable(BillingError):
    """Nothing has been paid, or all of it has gone back already."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(f"There is nothing to refund: the payment is {state}.")


class RefundTooLarge(BillingError):
    """More than is left to refund, refunds under way included."""

    def __init__(self, refundable: int, currency: str) -> None:
        self.refundable = refundable
        self.currency = currency
        super().__init__(f"At most {Money(refundable, currency)} can still be refunded.")


class CreditsSpent(BillingError):
    """The policy wants credits back that are spent; `refundable` is what it allows."""

    def __init__(self, missing: int, refundable: int) -> None:
        self.missing = missing
        self.refundable = refundable
        super().__init__(f"{missing} of the credits are spent. Under this policy {refundable} can be refunded.")


class DisputeOpen(BillingError):
    """The buyer's bank decides about this money: a refund now could be paid twice."""

    def __init__(self, dispute: UUID) -> None:
        self.dispute = dispute
        super().__init__("A dispute about this payment is open. Refund it, if need be, when the dispute is over.")


class PartialNotPossible(BillingError):
    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("The gateway can only refund this payment as a whole.")


class ReasonMissing(BillingError):
    def __init__(self) -> None:
        super().__init__("Say why the money goes back.")


class RefundOver(BillingError):
    def __init__(self, refund: UUID, state: str) -> None:
        self.refund = refund
        self.state = state
        super().__init__(f"The refund is {state}.")


class SecondOperatorNeeded(BillingError):
    """Above the limit, whoever asked for a refund by hand does not confirm it too."""

    def __init__(self) -> None:
        super().__init__("A refund of this size is confirmed by somebody else than who asked for it.")


# ---------------------------------------------------------------- disputes


class CannotAnswer(BillingError):
    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        super().__init__("This gateway takes evidence in its own dashboard only.")


class DisputeOver(BillingError):
    def __init__(self, dispute: UUID, state: str) -> None:
        self.dispute = dispute
        self.state = state
        super().__init__("The dispute is over, or was answered already.")


class EvidenceFileRefused(BillingError):
    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        megabytes = most_bytes // 1_000_000
        super().__init__(f"The bank reads a PDF, a PNG or a JPEG of at most {megabytes} MB.")


# ---------------------------------------------------------------- cases


class CaseClosed(BillingError):
    def __init__(self, case: UUID) -> None:
        self.case = case
        super().__init__("The case is closed already.")


class ResolutionMissing(BillingError):
    def __init__(self) -> None:
        super().__init__("Say how the case ended.")


class DiscrepancyClosed(BillingError):
    def __init__(self, discrepancy: UUID) -> None:
        self.discrepancy = discrepancy
        super().__init__("This exception is resolved already.")


class StatementUnreadable(BillingError):
    """Of a file that somebody gave us: which line, and what would be right."""


# ---------------------------------------------------------------- plans and subscriptions


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
        super().__init__(f"The subscription is {status}; {what}.")


class ChangeNotNow(BillingError):
    """This change can only begin with the next period."""

    def __init__(self) -> None:
        super().__init__("This change is possible at the end of the period only; send at: period_end.")


# ---------------------------------------------------------------- invoices


class NotInvoiced(BillingError):
    """What is not paid, or not ours to invoice, has no invoice."""

    def __init__(self, subject: UUID) -> None:
        self.subject = subject
        super().__init__("Only what was paid to us is invoiced, and only a refund that has arrived is credited.")


class DraftInvalid(BillingError):
    """What is to be invoiced makes no sense; the sentence says what would."""


class DraftIssued(BillingError):
    def __init__(self, draft: UUID) -> None:
        self.draft = draft
        super().__init__("The invoice of this draft is issued already.")


class NotCancellable(BillingError):
    """Only what was issued to be paid, and nobody has paid, is cancelled; what was paid is refunded."""

    def __init__(self, invoice: UUID, status: str) -> None:
        self.invoice = invoice
        self.state = status
        super().__init__(f"The invoice is {status}: only an unpaid one is cancelled, and a paid one is refunded.")


class TaxRateUnknown(BillingError):
    """To sell without the tax that is due would be at our cost."""

    def __init__(self, country: str) -> None:
        self.country = country
        super().__init__(f"The tax rate of {country} is not known. An operator adds it under Tax rates.")


class TaxNotAdded(BillingError):
    """Prices before tax, at a gateway that renews them and would charge them without it."""

    def __init__(self, catalogue: str, gateway: str) -> None:
        self.catalogue, self.gateway = catalogue, gateway
        super().__init__(
            f"The prices of {catalogue} are before tax, and what {gateway} renews gets the tax on top from Stripe Tax "
            "alone. Set STRIPE_TAX=true, or take the catalogue out of TAX_EXCLUSIVE_CATALOGUES, or sell its plans "
            "through gateways that we renew."
        )


class AccountingMistake(BillingError):
    """The accounting file would be wrong; it is not written."""


class NoMailAddress(BillingError):
    def __init__(self, invoice: object) -> None:
        self.invoice = invoice
        super().__init__("Nobody told us an e-mail address of the buyer.")


class NotRendered(BillingError):
    def __init__(self, invoice: UUID) -> None:
        self.invoice = invoice
        super().__init__("The document is being made. Ask again in a moment.")
