"""Addresses of billing's API, under `/api/v1/`."""

from django.urls import path

from billing.api import invoices, methods, payments, plans, refunds, subscriptions
from billing.api.checkouts import CheckoutPreviewView, CheckoutsView
from billing.api.coupons import CouponRedeemView
from billing.api.customers import CustomerView
from billing.api.gateways import GatewaysView
from billing.api.reports import PaymentReportView
from billing.api.top_ups import TopUpView

urlpatterns = [
    path("customer", CustomerView.as_view(), name="customer"),
    path("checkouts", CheckoutsView.as_view(), name="checkouts"),
    path("checkouts/preview", CheckoutPreviewView.as_view(), name="checkout-preview"),
    path("coupons/redeem", CouponRedeemView.as_view(), name="coupon-redeem"),
    path("payments", payments.PaymentsView.as_view(), name="payments"),
    path("payments/report", PaymentReportView.as_view(), name="payment-report"),
    path("payments/statistics", payments.PaymentStatisticsView.as_view(), name="payment-statistics"),
    path("payments/<uuid:payment_id>", payments.PaymentView.as_view(), name="payment"),
    path("payments/<uuid:payment_id>/status", payments.PaymentStatusView.as_view(), name="payment-status"),
    path("payments/<uuid:payment_id>/cancel", payments.PaymentCancelView.as_view(), name="payment-cancel"),
    path("payments/<uuid:payment_id>/refresh", payments.PaymentRefreshView.as_view(), name="payment-refresh"),
    path("refunds", refunds.RefundsView.as_view(), name="refunds"),
    path("refunds/preview", refunds.RefundPreviewView.as_view(), name="refund-preview"),
    path("refunds/<uuid:refund_id>", refunds.RefundView.as_view(), name="refund"),
    path("plans", plans.PlansView.as_view(), name="plans"),
    path("entitlements", plans.EntitlementsView.as_view(), name="entitlements"),
    path("subscription", subscriptions.SubscriptionView.as_view(), name="subscription"),
    path("subscription/change", subscriptions.SubscriptionChangeView.as_view(), name="subscription-change"),
    path("subscription/renew", subscriptions.SubscriptionRenewView.as_view(), name="subscription-renew"),
    path("subscription/resume", subscriptions.SubscriptionResumeView.as_view(), name="subscription-resume"),
    path("subscription/portal", subscriptions.SubscriptionPortalView.as_view(), name="subscription-portal"),
    path("invoices", invoices.InvoicesView.as_view(), name="invoices"),
    path("invoices/<uuid:invoice_id>", invoices.InvoiceView.as_view(), name="invoice"),
    path("invoices/<uuid:invoice_id>/cancel", invoices.InvoiceCancelView.as_view(), name="invoice-cancel"),
    path("invoices/<uuid:invoice_id>/pdf", invoices.InvoicePdfView.as_view(), name="invoice-pdf"),
    path("invoices/<uuid:invoice_id>/xml", invoices.InvoiceXmlView.as_view(), name="invoice-xml"),
    path("payment-methods", methods.MethodsView.as_view(), name="payment-methods"),
    path("payment-methods/<int:method_id>", methods.MethodView.as_view(), name="payment-method"),
    path("payment-methods/setups/<uuid:setup_id>", methods.MethodSetupView.as_view(), name="payment-method-setup"),
    path(
        "payment-methods/setups/<uuid:setup_id>/refresh",
        methods.MethodSetupRefreshView.as_view(),
        name="payment-method-setup-refresh",
    ),
    path("top-up", TopUpView.as_view(), name="top-up"),
    path("gateways", GatewaysView.as_view(), name="gateways"),
]
