"""The endpoint that tells callers how we see them."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from rest import callers


class MeResponse(serializers.Serializer[callers.Caller]):
    kind = serializers.ChoiceField(choices=[kind.value for kind in callers.Kind])
    user = serializers.CharField(allow_null=True, help_text="The customer who is spoken for.")
    name = serializers.CharField(help_text="The customer, or the name of the service token.")
    permissions = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When the credential ends.")


class MeView(APIView):
    @extend_schema(operation_id="me", summary="Who am I?", responses=MeResponse, tags=["callers"])
    def get(self, request: Request) -> Response:
        caller = callers.of(request)
        return Response(
            {
                "kind": caller.kind,
                "user": caller.user.get_username() if caller.user else None,
                "name": caller.name,
                "permissions": sorted(caller.permissions),
                "expires_at": caller.expires_at,
            }
        )
