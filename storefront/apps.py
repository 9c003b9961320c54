"""The app of the pages that a visitor sees."""

from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    name = "storefront"
