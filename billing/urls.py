from django.urls import path

from billing.api import payments, refunds
from billing.api.checkouts import CheckoutsView
from billing.api.customers import CustomerView
from billing.api.gateways import GatewaysView
from billing.api.top_ups import TopUpView

urlpatterns = [
    path("customer", CustomerView.as_view(), name="customer"),
    path("checkouts", CheckoutsView.as_view(), name="checkouts"),
    path("payments", payments.PaymentsView.as_view(), name="payments"),
    path("payments/statistics", payments.PaymentStatisticsView.as_view(), name="payment-statistics"),
    path("payments/<uuid:payment_id>", payments.PaymentView.as_view(), name="payment"),
    path("payments/<uuid:payment_id>/status", payments.PaymentStatusView.as_view(), name="payment-status"),
    path("payments/<uuid:payment_id>/cancel", payments.PaymentCancelView.as_view(), name="payment-cancel"),
    path("payments/<uuid:payment_id>/refresh", payments.PaymentRefreshView.as_view(), name="payment-refresh"),
    path("refunds", refunds.RefundsView.as_view(), name="refunds"),
    path("refunds/preview", refunds.RefundPreviewView.as_view(), name="refund-preview"),
    path("refunds/<uuid:refund_id>", refunds.RefundView.as_view(), name="refund"),
    path("top-up", TopUpView.as_view(), name="top-up"),
    path("gateways", GatewaysView.as_view(), name="gateways"),
]
