"""One box for the whole house: what is typed says by its shape what it may be; one thing that fits is opened."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext

from billing import customers
from billing.admin.finding import IDS
from billing.gateways import registry
from billing.models import (
    Attempt,
    Case,
    Customer,
    Dispute,
    GatewayLetter,
    Invoice,
    Payment,
    Refund,
    Subscription,
)
from credits.models import Grant, Hold, Spend
from events.models import Delivery, Event, Message
from ledger.models import Entry
from rest.links import list_of, may_view, page_of
from rest.lists import called, number, people_beginning
from wallets.models import Sale, Withdrawal

LONGEST = 300
SHOWN = 20  # of each kind


@dataclass(frozen=True, slots=True)
class Hit:
    kind: str
    text: str | Promise
    url: str


# What has an id of its own, by its primary key or by the entry that made it.
IDENTIFIED: tuple[tuple[type[Model], str], ...] = (
    (Payment, "pk"),
    (Payment, "attempts"),
    (Refund, "pk"),
    (Subscription, "pk"),
    (Invoice, "pk"),
    (Dispute, "pk"),
    (Case, "pk"),
    (Withdrawal, "pk"),
    (Sale, "pk"),
    (Grant, "entry"),
    (Spend, "entry"),
    (Hold, "pk"),
    (Entry, "pk"),
    (GatewayLetter, "pk"),
    (Event, "pk"),
    (Delivery, "pk"),
    (Message, "pk"),
)


def find(request: HttpRequest, words: str) -> list[Hit]:
    """Everything that is exactly this; what only begins so when there is nothing."""
    term = words.strip()[:LONGEST]
    found = list(dict.fromkeys(_exact(request, term))) if term else []
    if not found and may_view(request, Customer):
        found = list(_of_people(people_beginning(term)))
    return found


def _exact(request: HttpRequest, term: str) -> Iterator[Hit]:
    if its_number := number(term):
        for model, column in IDENTIFIED:
            yield from _hits(request, model._default_manager.filter(**{column: its_number}))
    yield from _hits(request, Invoice.objects.filter(number__in={term, term.upper()}))
    yield from _hits(request, Payment.objects.filter(reference=term))
    if may_view(request, Customer):
        yield from _of_people(customers.meant_by(term))
    yield from _at_gateways(request, term)


def _at_gateways(request: HttpRequest, term: str) -> Iterator[Hit]:
    tried = Attempt.objects.filter(called("gateway_ids", IDS, term)).values("payment")
    yield from _hits(request, Payment.objects.filter(pk__in=tried))
    yield from _hits(request, Refund.objects.filter(called("gateway_ids", IDS, term)))
    there = {"gateway__in": registry.NAMES}
    yield from _hits(request, Subscription.objects.filter(**there, gateway_id=term))
    yield from _hits(request, Dispute.objects.filter(**there, gateway_id=term))
    yield from _hits(request, GatewayLetter.objects.filter(**there, event_id=term))


def _hits(request: HttpRequest, rows: QuerySet[Any]) -> Iterator[Hit]:
    """Nothing is asked for somebody who may not view it."""
    if may_view(request, rows.model):
        kind = str(capfirst(rows.model._meta.verbose_name))
        for row in rows.order_by("-pk")[:SHOWN]:
            yield Hit(kind, str(row), page_of(row))


def _of_people(pks: list[int]) -> Iterator[Hit]:
    """Also of those whom billing has not met yet: they have a page all the same."""
    known = Customer.objects.in_bulk(pks[:SHOWN])
    for user in User.objects.filter(pk__in=pks).order_by("username")[:SHOWN]:
        names = [user.username, *filter(None, [known[user.pk].name, known[user.pk].email] if user.pk in known else [])]
        page = page_of(known.get(user.pk) or Customer(user=user))
        yield Hit(str(capfirst(Customer._meta.verbose_name)), " · ".join(names), page)


def view(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "")
    found = find(request, words)
    if len(found) == 1:
        return HttpResponseRedirect(found[0].url)
    context = {
        **admin.site.each_context(request),
        "title": gettext("Find"),
        "words": words,
        "hits": found,
        "names_url": list_of(Customer, q=words.strip()) if may_view(request, Customer) else "",
    }
    return TemplateResponse(request, "admin/find.html", context)
