"""The link to a seller's wallet page, for the shop to send them to."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from rest import callers, idempotency, serializers
from rest.views import ApiView
from wallets import pages
from wallets.api import asking
from wallets.api.withdrawing import MayAsk


class WalletPageResponse(answers.Serializer[Any]):
    url = answers.URLField(help_text="Whoever opens it sees the wallet and can ask for money: send it to nobody else.")
    expires_at = answers.DateTimeField()


class PageView(ApiView):
    permission_classes = (MayAsk,)

    @extend_schema(
        operation_id="wallet_page",
        summary="Make a temporary link to the seller's wallet page",
        request=serializers.NoBody,
        responses={201: WalletPageResponse},
        tags=asking.TAGS,
    )
    @idempotency.idempotent(required=False)
    def post(self, request: Request) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        return Response(WalletPageResponse(pages.link(callers.customer(request))).data, status=201)
