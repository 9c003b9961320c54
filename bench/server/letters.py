"""A webhook as it would be without us: a view that only inserts a row, and the way of most Django teams.

That way stands twice: behind all of the middleware, as a project has one list for all addresses, and behind ours.
"""

import json

import stripe
from celery import current_app
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from billing.models import GatewayLetter
from ledger.ids import uuid7

_INSERT = """
    INSERT INTO billing_gatewayletter (id, gateway, event_id, kind, subject, trust)
    VALUES (%s, 'bench', %s, 'payment_intent.succeeded', 'other', 'unsigned')
"""


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """Proves nothing and knows no doubles: one row, and an answer."""
    event = json.loads(request.body)
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [uuid7(), event["id"]])
    return HttpResponse(b"", status=200)


@csrf_exempt
def usual(request: HttpRequest) -> HttpResponse:
    """`construct_event`, the ORM, and a task for each event."""
    event = stripe.Webhook.construct_event(
        request.body, request.headers["Stripe-Signature"], settings.STRIPE_WEBHOOK_SECRETS[0]
    )
    row, is_new = GatewayLetter.objects.get_or_create(
        gateway="usual",
        event_id=event.id,
        defaults={
            "kind": event.type,
            "subject": "other",
            "trust": "signed",
            "facts": event.to_dict(),
        },
    )
    if is_new:
        current_app.send_task("bench.process", [str(row.pk)], queue="default")
    return HttpResponse(b"", status=200)
