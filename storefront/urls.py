from django.urls import path

from storefront import views

urlpatterns = [
    path("", views.HomeView.as_view(), name="home"),
    path("pricing", views.PricingView.as_view(), name="pricing"),
]
