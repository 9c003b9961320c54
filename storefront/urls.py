from django.urls import path

from storefront import views, wallet

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("pricing", views.PricingView.as_view(), name="pricing"),
    path("wallet/<str:token>", wallet.WalletView.as_view(), name="wallet"),
    path("wallet/<str:token>/<str:currency>/<str:month>.pdf", wallet.StatementView.as_view(), name="wallet-statement"),
    path("wallet/<str:token>/<uuid:withdrawal>/cancel", wallet.CancelView.as_view(), name="wallet-cancel"),
]
