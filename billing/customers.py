"""What a customer tells us about themself, and we about them on invoices."""

import logging
from collections.abc import Collection
from typing import TypedDict, Unpack

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from billing import persons, subscription_states, taxing, vat_numbers
from billing.models import Customer
from events.people import Contact
from rest.callers import Caller

logger = logging.getLogger(__name__)


class Facts(TypedDict, total=False):
    name: str
    company: str
    email: str
    vat_number: str
    address: str
    postcode: str
    city: str
    country: str
    locale: str
    time_zone: str


def get(user: User) -> Customer:
    """The customer that this user is, made on first sight; two first requests at once make one."""
    customer, _ = Customer.objects.select_related("user").get_or_create(user=user)
    return customer


@transaction.atomic
def change(customer: Customer, *, by: User | Caller, **facts: Unpack[Facts]) -> Customer:
    """Write down what is different; the whole record must then make sense."""
    # Behind the lock that a coupon is used behind: what is used at this moment counts for the address of before.
    known = Customer.objects.select_for_update(of=("self",), no_key=True)
    fresh = known.select_related("user").get(pk=customer.pk)
    different = {name: value for name, value in facts.items() if getattr(fresh, name) != value}
    if not different:
        return fresh
    for name, value in different.items():
        setattr(fresh, name, value)
    persons.rename(fresh, fresh.email)
    fresh.full_clean(validate_unique=False)
    if {"vat_number", "country"} & set(different):
        vat_numbers.check_country(fresh.vat_number, fresh.country)
    fresh.save(update_fields=[*different, "person", "person_since", "earlier_persons", "updated_at"])
    if "time_zone" in different:
        subscription_states.move_to_zone(user=fresh.user, time_zone=fresh.time_zone)
    who = by.identity if isinstance(by, Caller) else f"operator:{by.pk}"
    # Which facts changed, never what they say: they are a person's.
    logger.info("customer.changed", extra={"customer": fresh.pk, "by": who, "facts": sorted(different)})
    return fresh


def place(user: User, told: str) -> None:
    """The first country that a buyer names is theirs from then on, and what they are taxed by. Later ones choose
    gateways, and only a change of the profile moves them."""
    customer = get(user)
    found = taxing.place_of(customer, told)
    if not told or found.evidence == "profile":
        return
    # Compare and set: who fills the profile in at this moment is not overwritten.
    rows = Customer.objects.filter(pk=customer.pk, country="")
    if rows.update(country=found.country, updated_at=timezone.now()):
        logger.info("customer.placed", extra={"customer": customer.pk, "evidence": found.evidence})


def lock(user: User) -> Customer:
    """Locked until the transaction ends: what somebody may do once at a time, before there is a row of it."""
    get(user)
    return Customer.objects.select_for_update(no_key=True).get(user=user)


def meant_by(words: str) -> list[int]:
    """The users with this user id, or with this e-mail address however it is written; `settings.ADMIN_PEOPLE` names
    this function."""
    found = list(User.objects.filter(username=words).values_list("pk", flat=True))
    if "@" in words:
        lower = Customer.objects.alias(lower_email=Lower("email")).filter(lower_email=words.lower())
        found += lower.exclude(pk__in=found).values_list("pk", flat=True)
    return found


def contacts(users: Collection[int]) -> dict[int, Contact]:
    """Where letters go, and in which language; `settings.EVENTS_CONTACTS` names this function."""
    found = Customer.objects.filter(pk__in=users).exclude(email="")
    return {
        each.pk: Contact(email=each.email, locale=each.locale, name=each.name, time_zone=each.time_zone)
        for each in found
    }
