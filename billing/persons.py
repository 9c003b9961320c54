"""Who is probably the same person under another account: what is given once is not given again to a new account.

Only the e-mail address tells, whatever its spelling; nobody has proven it, so that it takes presents away and gives
nothing: an account never sees or uses what another one has.
"""

import hashlib
from datetime import UTC, datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from billing.models import Customer, Payment, Redemption, Subscription
from billing.models.payments import PaymentStatus

# Whoever writes to these reaches the same person with and without dots.
WITHOUT_DOTS = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def key_of(email: str) -> str:
    """The same for all spellings of an address: capitals, what follows a plus, and dots where they mean nothing. A
    digest, so that it can outlive the address."""
    if not email:
        return ""
    name, _, domain = email.strip().lower().rpartition("@")
    name = name.partition("+")[0] or name
    if domain in WITHOUT_DOTS:
        name, domain = name.replace(".", ""), WITHOUT_DOTS[domain]
    return hashlib.sha256(f"{name}@{domain}".encode()).hexdigest()


def rename(customer: Customer, email: str) -> None:
    """The address becomes another one. What was used under the one before stays used for whoever comes with it."""
    person = key_of(email)
    if person == customer.person:
        return
    if customer.person and _has_used_something(customer):
        customer.earlier_persons = sorted({*customer.earlier_persons, customer.person})
    customer.person, customer.person_since = person, timezone.now()


def _has_used_something(customer: Customer) -> bool:
    """Since it has this address: or one account could take presents away from everybody whose address it names."""
    since = customer.person_since or datetime.fromtimestamp(0, UTC)
    return (
        Redemption.objects.filter(user=customer.pk, created_at__gte=since).counted().exists()
        or Subscription.objects.filter(user=customer.pk, period_start__gte=since).exists()
        or Payment.objects.filter(user=customer.pk, status=PaymentStatus.SUCCEEDED, ended_at__gte=since).exists()
    )


def same_as(user: User) -> Q:
    """A filter for rows that have a `user`: of this one, and of other accounts of the same person. Who they are is
    found first, so that the rows are read by their own index."""
    accounts = {user.pk}
    customer = Customer.objects.filter(user=user).first() if settings.ONE_PERSON_BY_EMAIL else None
    if customer and (persons := [each for each in (customer.person, *customer.earlier_persons) if each]):
        known = Customer.objects.filter(person__in=persons).values_list("user_id")
        # Two queries, each by its own index.
        accounts.update(*known.union(Customer.objects.filter(earlier_persons__overlap=persons).values_list("user_id")))
    return Q(user__in=accounts)
