from django.urls import path

from credits.api.catalogue import CostsView, PacksView

urlpatterns = [
    path("packs", PacksView.as_view(), name="packs"),
    path("costs", CostsView.as_view(), name="costs"),
]
