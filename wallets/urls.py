"""Addresses of the wallets' API, under `/api/v1/`."""

from django.urls import path

from wallets.api import commissions, pages, reading, withdrawing

urlpatterns = [
    path("wallets/balance", reading.BalanceView.as_view(), name="wallets-balance"),
    path("wallets/transactions", reading.TransactionsView.as_view(), name="wallets-transactions"),
    path("wallets/statistics", reading.StatisticsView.as_view(), name="wallets-statistics"),
    path("wallets/statements", reading.StatementView.as_view(), name="wallets-statements"),
    path("wallets/withdrawals", withdrawing.WithdrawalsView.as_view(), name="wallets-withdrawals"),
    path("wallets/withdrawals/quote", withdrawing.QuoteView.as_view(), name="wallets-quote"),
    path("wallets/withdrawals/<uuid:withdrawal>", withdrawing.WithdrawalView.as_view(), name="wallets-withdrawal"),
    path("wallets/withdrawals/<uuid:withdrawal>/cancel", withdrawing.CancelView.as_view(), name="wallets-cancel"),
    path("wallets/page", pages.PageView.as_view(), name="wallets-page"),
    path("commissions", commissions.CommissionsView.as_view(), name="commissions"),
    path("commissions/rates", commissions.RatesView.as_view(), name="commissions-rates"),
    path("commissions/statistics", reading.CommissionStatisticsView.as_view(), name="commissions-statistics"),
    path("commissions/projections", commissions.ProjectionsView.as_view(), name="commissions-projections"),
]
