"""Addresses of the credits' API, under `/api/v1/`."""

from django.urls import path

from credits.api import granting, holding, reading, spending
from credits.api.catalogue import CostsView, PacksView

# Spending first: patterns are tried in turn, and nothing else is asked for as often.
urlpatterns = [
    path("credits/spend", spending.SpendView.as_view(), name="credits-spend"),
    path("packs", PacksView.as_view(), name="packs"),
    path("costs", CostsView.as_view(), name="costs"),
    path("credits/balance", reading.BalanceView.as_view(), name="credits-balance"),
    path("credits/spend-batch", spending.SpendBatchView.as_view(), name="credits-spend-batch"),
    path("credits/estimate", spending.EstimateView.as_view(), name="credits-estimate"),
    path("credits/spends/<uuid:spend>/reverse", spending.ReverseView.as_view(), name="credits-reverse"),
    path("credits/holds", holding.HoldsView.as_view(), name="credits-holds"),
    path("credits/holds/<uuid:hold>/settle", holding.SettleView.as_view(), name="credits-settle"),
    path("credits/holds/<uuid:hold>/release", holding.ReleaseView.as_view(), name="credits-release"),
    path("credits/grants", granting.GrantsView.as_view(), name="credits-grants"),
    path("credits/transactions", reading.TransactionsView.as_view(), name="credits-transactions"),
    path("credits/explain", reading.ExplainView.as_view(), name="credits-explain"),
]
