from django.contrib import admin
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config import health, metrics
from storefront.views import HomeView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("admin/", admin.site.urls),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("health", health.overall, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("health/database", health.database, name="health-database"),
    path("health/gateways", health.gateways, name="health-gateways"),
    path("health/providers", health.gateways, name="health-providers"),
    path("health/detailed", health.detailed, name="health-detailed"),
    path("metrics", metrics.exposition, name="metrics"),
]
