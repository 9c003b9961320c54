"""Addresses of the events' API, under `/api/v1/`."""

from django.urls import path

from events.api import webhooks
from events.api.preferences import PreferencesView

urlpatterns = [
    path("mail-preferences", PreferencesView.as_view(), name="api-mail-preferences"),
    path("webhook-endpoints", webhooks.EndpointsView.as_view(), name="webhook-endpoints"),
    path("webhook-endpoints/<uuid:endpoint>", webhooks.EndpointView.as_view(), name="webhook-endpoint"),
    path("webhook-endpoints/<uuid:endpoint>/rotate", webhooks.RotateView.as_view(), name="webhook-rotate"),
    path("webhook-endpoints/<uuid:endpoint>/enable", webhooks.EnableView.as_view(), name="webhook-enable"),
    path("webhook-endpoints/<uuid:endpoint>/replay", webhooks.ReplayRangeView.as_view(), name="webhook-replay"),
    path("webhook-endpoints/<uuid:endpoint>/deliveries", webhooks.DeliveriesView.as_view(), name="webhook-deliveries"),
    path("deliveries/<uuid:delivery>", webhooks.DeliveryView.as_view(), name="delivery"),
    path("deliveries/<uuid:delivery>/replay", webhooks.ReplayView.as_view(), name="delivery-replay"),
]
