"""Addresses of the pages that a visitor sees."""

from django.urls import path

from storefront import bill, details, own_credits, papers, payment_methods, pricing, subscription, views, wallet

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("pricing", pricing.PricingView.as_view(), name="pricing"),
    path("buy", pricing.BuyView.as_view(), name="buy"),
    path("invoice/<str:token>", bill.BillView.as_view(), name="bill"),
    path("invoice/<str:token>/pdf", bill.BillPdfView.as_view(), name="bill-pdf"),
    path("invoice/<str:token>/other-way", bill.OtherWayView.as_view(), name="bill-other-way"),
    path("details/<uuid:invoice>.pdf", papers.OwnPdfView.as_view(), name="own-invoice-pdf"),
    path("details", details.OwnDetailsView.as_view(), name="details"),
    path("details/<str:token>", details.DetailsView.as_view(), name="details-of"),
    path("wallet/<str:token>", wallet.WalletView.as_view(), name="wallet"),
    path("wallet/<str:token>/<str:currency>/<str:month>.pdf", wallet.StatementView.as_view(), name="wallet-statement"),
    path("wallet/<str:token>/<str:currency>/<str:month>.csv", wallet.StatementCsvView.as_view(), name="wallet-csv"),
    path("wallet/<str:token>/<uuid:withdrawal>/cancel", wallet.CancelView.as_view(), name="wallet-cancel"),
    path("payment-methods", payment_methods.MethodsView.as_view(), name="payment-methods-page"),
    path("payment-methods/<str:token>", payment_methods.LinkedMethodsView.as_view(), name="payment-methods-link"),
    path("credits", own_credits.CreditsView.as_view(), name="credits-page"),
    path("subscribe", subscription.SubscribeView.as_view(), name="subscribe"),
    path("subscription", subscription.SubscriptionView.as_view(), name="subscription-page"),
    path("subscription/change", subscription.ChangeView.as_view(), name="subscription-page-change"),
    path("subscription/cancel", subscription.CancelView.as_view(), name="subscription-page-cancel"),
    path("subscription/resume", subscription.ResumeView.as_view(), name="subscription-page-resume"),
    path("subscription/portal", subscription.PortalView.as_view(), name="subscription-page-portal"),
]
