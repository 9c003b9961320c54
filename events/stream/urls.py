"""Addresses of the stream, under `/api/v1/`."""

from django.urls import path

from events.stream.api import EventsView, TicketView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/ticket", TicketView.as_view(), name="events-ticket"),
]
