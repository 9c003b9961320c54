from django.urls import path

from billing.api.customers import CustomerView

urlpatterns = [path("customer", CustomerView.as_view(), name="customer")]
