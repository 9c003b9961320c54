"""What the web process does for streams: tickets for browsers, and in development the way to the stream process."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers as answers
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from events import tickets
from rest import callers, fields, serializers
from rest.permissions import IsCaller, OwnerOrService
from rest.views import ApiView

MayListen = OwnerOrService("events.view_event")
TAGS = ["events"]


class TicketResponse(answers.Serializer[Any]):
    ticket = answers.CharField(help_text="For `?ticket=`, once.")
    expires_at = answers.DateTimeField(help_text="Until then a stream must have been opened with it.")
    stream_url = answers.CharField(help_text="Where the stream is; the ticket is not in it.")
    websocket_url = answers.CharField()


def _ticket(request: Request) -> tuple[str, datetime]:
    caller = callers.of(request)
    return tickets.issue(user=callers.customer(request), stream_ends_at=caller.expires_at, token_id=caller.token_id)


class TicketView(ApiView):
    permission_classes = (MayListen,)

    @extend_schema(
        operation_id="create_event_ticket",
        summary="Get a ticket to open an event stream",
        description="For browsers, which cannot send headers with an EventSource or a WebSocket. It opens one stream, "
        "within seconds. The stream ends with the credential that asked for the ticket; then ask for another.",
        request=serializers.NoBody,
        responses={201: TicketResponse},
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        serializers.read(request, serializers.NoBody, required=False)
        ticket, expires_at = _ticket(request)
        base = (settings.STREAM_URL or settings.BASE_URL).rstrip("/")
        told = {
            "ticket": ticket,
            "expires_at": expires_at,
            "stream_url": f"{base}{settings.API_PREFIX}events",
            "websocket_url": f"{base.replace('http', 'ws', 1)}/ws/events",
        }
        return Response(told, status=201)


class MayListenOrHasTicket(IsCaller):
    """A ticket is judged by the stream process, which alone uses it up."""

    needs = MayListen.needs

    def has_permission(self, request: Request, view: Any) -> bool:
        if "ticket" in request.query_params or not settings.STREAM_URL:
            return True
        may_listen = MayListen()
        if may_listen.has_permission(request, view):
            return True
        if not isinstance(request.auth, callers.Caller):
            raise NotAuthenticated
        raise PermissionDenied(getattr(may_listen, "message", None), getattr(may_listen, "code", None))


class EventsQuery(serializers.QuerySerializer):
    last_event_id = fields.StringField(
        required=False, allow_blank=True, help_text="As `Last-Event-ID`, for those who cannot send headers."
    )
    ticket = fields.StringField(required=False, help_text="Instead of credentials, for browsers.")


class EventsView(ApiView):
    permission_classes = (MayListenOrHasTicket,)
    queries = {"GET": EventsQuery}
    more_errors = ("404",)  # rest.schema reads it; where the front has sent here what is the stream process's

    @extend_schema(
        operation_id="stream_events",
        summary="Stream a customer's events",
        description="Server-Sent Events. A stream that is opened with the id of the last event that was seen goes on "
        "behind it: nothing is missed, nothing comes twice. The same messages come over the WebSocket /ws/events. "
        "On a laptop the answer is a redirect to the stream process; HTTP clients follow it by themselves.",
        parameters=[
            OpenApiParameter("Last-Event-ID", str, "header", description="The id of the last event that was seen."),
        ],
        responses={(200, "text/event-stream"): str},
        tags=TAGS,
    )
    def get(self, request: Request) -> HttpResponse:
        if not settings.STREAM_URL:
            raise Http404  # a front that should have sent this to the stream process
        parameters = serializers.query(request, EventsQuery)
        if "ticket" not in parameters:
            # Clients take their credentials to no other address, and a port is another.
            parameters["ticket"], _ = _ticket(request)
        answer = HttpResponse(status=307)
        answer["Location"] = f"{settings.STREAM_URL.rstrip('/')}{settings.API_PREFIX}events?{urlencode(parameters)}"
        return answer
