"""The tables of billing, by subject."""

from billing.models.cases import Case
from billing.models.coupons import Coupon, CouponAmount, Redemption
from billing.models.customers import Customer
from billing.models.drafts import DraftLine, InvoiceDraft
from billing.models.gateways import BreakerState, GatewaySetting, GatewayTerms
from billing.models.inbox import GatewayLetter
from billing.models.instructions import GatewayInstruction
from billing.models.invoices import Invoice, InvoiceFile, InvoiceLine, InvoiceSeries, TaxRate
from billing.models.papers import InvoiceMailing, TaxedUse, UseGivenBack, VatCheck
from billing.models.payments import Attempt, GatewayCustomer, Payment
from billing.models.payouts import Payout
from billing.models.plans import GatewayPrice, Plan, PlanPrice
from billing.models.reconciling import Discrepancy, Reconciliation
from billing.models.refunds import Dispute, Refund
from billing.models.reports import Figures, Margin
from billing.models.saved_methods import MethodSetup, SavedMethod
from billing.models.subscriptions import PaidPeriod, Subscription, SubscriptionEvent
from billing.models.top_ups import TopUp, TopUpCharge

__all__ = [
    "Attempt",
    "BreakerState",
    "Case",
    "Coupon",
    "CouponAmount",
    "Customer",
    "Discrepancy",
    "Dispute",
    "DraftLine",
    "Figures",
    "GatewayCustomer",
    "GatewayInstruction",
    "GatewayLetter",
    "GatewayPrice",
    "GatewaySetting",
    "GatewayTerms",
    "Invoice",
    "InvoiceDraft",
    "InvoiceFile",
    "InvoiceLine",
    "InvoiceMailing",
    "InvoiceSeries",
    "Margin",
    "MethodSetup",
    "PaidPeriod",
    "Payment",
    "Payout",
    "Plan",
    "PlanPrice",
    "Reconciliation",
    "Redemption",
    "Refund",
    "SavedMethod",
    "Subscription",
    "SubscriptionEvent",
    "TaxRate",
    "TaxedUse",
    "TopUp",
    "TopUpCharge",
    "UseGivenBack",
    "VatCheck",
]
