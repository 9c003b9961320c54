"""Addresses of the API's shell, under `/api/v1/`."""

from django.urls import path

from rest.views import MeView

urlpatterns = [path("me", MeView.as_view(), name="me")]
