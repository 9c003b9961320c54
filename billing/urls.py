from django.urls import path

from billing.api.customers import CustomerView
from billing.api.gateways import GatewaysView

urlpatterns = [
    path("customer", CustomerView.as_view(), name="customer"),
    path("gateways", GatewaysView.as_view(), name="gateways"),
]
