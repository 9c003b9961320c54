from django.urls import path

from storefront import payment_methods, subscription, views, wallet

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("pricing", views.PricingView.as_view(), name="pricing"),
    path("wallet/<str:token>", wallet.WalletView.as_view(), name="wallet"),
    path("wallet/<str:token>/<str:currency>/<str:month>.pdf", wallet.StatementView.as_view(), name="wallet-statement"),
    path("wallet/<str:token>/<uuid:withdrawal>/cancel", wallet.CancelView.as_view(), name="wallet-cancel"),
    path("payment-methods", payment_methods.MethodsView.as_view(), name="payment-methods-page"),
    path("payment-methods/<str:token>", payment_methods.LinkedMethodsView.as_view(), name="payment-methods-link"),
    path("subscribe", subscription.SubscribeView.as_view(), name="subscribe"),
    path("subscription", subscription.SubscriptionView.as_view(), name="subscription-page"),
    path("subscription/change", subscription.ChangeView.as_view(), name="subscription-page-change"),
    path("subscription/cancel", subscription.CancelView.as_view(), name="subscription-page-cancel"),
    path("subscription/resume", subscription.ResumeView.as_view(), name="subscription-page-resume"),
    path("subscription/portal", subscription.PortalView.as_view(), name="subscription-page-portal"),
]
