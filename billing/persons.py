"""Who is probably the same person under another account: what is given once is not given again to a new account.

Only the e-mail address tells, whatever its spelling; nobody has proven it, so that it takes presents away and gives
nothing: an account never sees or uses what another one has.
"""

import hashlib

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q

from billing.models import Customer

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


def same_as(user: User) -> Q:
    """A filter for rows that have a `user`: of this one, and of other accounts of the same person. Who they are is
    found first, so that the rows are read by their own index."""
    accounts = {user.pk}
    if settings.ONE_PERSON_BY_EMAIL:
        person = Customer.objects.filter(user=user).exclude(person="").values_list("person", flat=True).first()
        if person:
            accounts.update(Customer.objects.filter(person=person).values_list("user_id", flat=True))
    return Q(user__in=accounts)
