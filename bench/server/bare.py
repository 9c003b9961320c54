"""Views that do nothing: what is left of a request when the spend is taken out of it."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.request import Request

from credits.api import asking
from credits.api.spending import MaySpend
from rest.views import ApiView

_ANSWER = {"spend": UUID(int=0), "cost": 1, "available": 1}


@csrf_exempt
def plain(request: HttpRequest) -> HttpResponse:
    """Django alone, behind the same middleware."""
    return HttpResponse(b"{}", "application/json", 201)


class BareView(ApiView):
    """Our leanest DRF view: the same parser, credentials, permission and limits as a spend, and an answer as long."""

    permission_classes = (MaySpend,)

    def post(self, request: Request) -> HttpResponse:
        assert isinstance(request.data, dict)
        return asking.answer(_ANSWER, 201)
