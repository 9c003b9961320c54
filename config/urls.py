"""Every address of the product."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from billing.pages import MendView
from billing.webhooks import WebhookView
from config import error_pages, health, metrics, widget_demo
from events.pages import PreferencesView
from rest import paths

# One prefix for every app of the API, before all pages: each pattern that is tried and missed costs a spend its time.
API = [
    path("", include("credits.urls")),
    path("", include("billing.urls")),
    path("", include("wallets.urls")),
    path("", include("events.urls")),
    path("", include("events.stream.urls")),
    path("", include("rest.urls")),
]

urlpatterns = [
    # Machines first: patterns are tried in turn, and they ask most.
    path(settings.API_PREFIX.lstrip("/"), include(API)),
    path("webhooks/<str:gateway>", WebhookView.as_view(), name="webhook"),
    path("webhooks/<str:gateway>/<str:token>", WebhookView.as_view(), name="webhook-of-attempt"),
    path("", include("storefront.urls")),
    # Pages behind signed links tell no referrer, so browsers send `Origin: null` with their forms, which Django's CSRF
    # check refuses. Whoever forges this one changes a language.
    path("language", csrf_exempt(set_language), name="set_language"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("accounts/", include("config.accounts")),
    path("mail/<str:token>", PreferencesView.as_view(), name="mail-preferences"),
    path("renew/<str:token>", MendView.as_view(), name="mend"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("demo/widgets", widget_demo.WidgetsView.as_view(), name="widgets-demo"),
    path("demo/token", widget_demo.TokenView.as_view(), name="demo-token"),
    path("problems", error_pages.ProblemsView.as_view(), name="problems"),
    path("health", health.overall, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("health/database", health.database, name="health-database"),
    path("health/gateways", health.gateways, name="health-gateways"),
    path("health/providers", health.gateways, name="health-providers"),
    path("health/detailed", health.detailed, name="health-detailed"),
    path("metrics", metrics.exposition, name="metrics"),
    # The last one: whatever machines ask for that stands nowhere above.
    re_path(rf"^(?:{'|'.join(sorted(paths.MACHINES))})(?:/|$)", error_pages.nothing_here),
]
handler400 = error_pages.bad_request
handler403 = error_pages.permission_denied
handler404 = error_pages.page_not_found
handler500 = error_pages.server_error
