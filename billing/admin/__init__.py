"""The admin of billing: importing it registers its pages."""

from billing.admin.coupons import CouponAdmin, RedemptionAdmin
from billing.admin.customers import CustomerAdmin
from billing.admin.drafts import InvoiceDraftAdmin
from billing.admin.figures import FiguresAdmin
from billing.admin.gateways import GatewaySettingAdmin
from billing.admin.inbox import CaseAdmin, GatewayLetterAdmin
from billing.admin.invoices import InvoiceAdmin, TaxRateAdmin
from billing.admin.margins import MarginAdmin
from billing.admin.payments import PaymentAdmin
from billing.admin.payouts import PaidWithdrawalAdmin
from billing.admin.reconciling import DiscrepancyAdmin, ReconciliationAdmin
from billing.admin.refunds import DisputeAdmin, RefundAdmin
from billing.admin.subscriptions import PlanAdmin, SubscriptionAdmin
from billing.admin.top_ups import SavedMethodAdmin, TopUpAdmin

__all__ = [
    "CaseAdmin",
    "CouponAdmin",
    "CustomerAdmin",
    "DiscrepancyAdmin",
    "DisputeAdmin",
    "FiguresAdmin",
    "GatewayLetterAdmin",
    "GatewaySettingAdmin",
    "InvoiceAdmin",
    "InvoiceDraftAdmin",
    "MarginAdmin",
    "PaidWithdrawalAdmin",
    "PaymentAdmin",
    "PlanAdmin",
    "ReconciliationAdmin",
    "RedemptionAdmin",
    "RefundAdmin",
    "SavedMethodAdmin",
    "SubscriptionAdmin",
    "TaxRateAdmin",
    "TopUpAdmin",
]
