"""The pages that a visitor sees first."""

from typing import Any

from django.views.generic import TemplateView


class HomeView(TemplateView):
    template_name = "storefront/home.html"


class PricingView(TemplateView):
    """What is for sale: each offer has a name, a price, and maybe a period, a description, features and a url."""

    template_name = "storefront/pricing.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "offers": []}
