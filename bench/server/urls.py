"""The product's own addresses, with the rivals of the bench before them."""

from django.urls import path

from bench.server import bare, idiomatic, letters
from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as product

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

# The product's last pattern answers for everything of machines, so the rivals stand before it; and behind its first
# ones, as near as these, since patterns are tried in turn.
NEAREST = 3
urlpatterns = [
    *product[:NEAREST],
    path("api/bench/plain", bare.plain),
    path("api/bench/bare", bare.BareView.as_view()),
    path("api/bench/idiomatic", idiomatic.SpendView.as_view()),
    path("api/bench/orm", idiomatic.LeanSpendView.as_view()),
    path("webhooks/bench/letter/bare", letters.bare),
    path("webhooks/bench/letter/usual", letters.usual),
    path("api/bench/letter-usual", letters.usual),
    *product[NEAREST:],
]
