"""What production must not be like and may start with all the same: `check --deploy --database default` asks."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own names
from django.db import DatabaseError, connections

from config import demo, roles
from rest.models import ServiceToken


@register(deploy=True)
def letters_reach_somebody(**_: Any) -> Iterator[CheckMessage]:
    """Neither is needed to start; a shop that lacks one finds out by the letter that nobody got."""
    if not settings.PRODUCTION:
        return
    if not settings.EMAIL_HOST:
        yield Warning(
            "EMAIL_HOST is missing: letters to customers and operators are written down and not sent.",
            hint="Set EMAIL_HOST; what waits goes out then.",
            id="tirelire.W002",
        )
    if not settings.OPERATOR_EMAILS:
        yield Warning(
            "OPERATOR_EMAILS is missing: nobody is told of cases, disputes and webhook endpoints that fail.",
            hint="Set OPERATOR_EMAILS to the addresses of who looks after payments.",
            id="tirelire.W003",
        )


@register(Tags.database, deploy=True)
def no_demo_people(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """People and tokens of `manage.py up` have secrets that stand in a file on somebody's laptop."""
    if not settings.PRODUCTION or "default" not in (databases or []):
        return
    try:
        people = get_user_model().objects.filter(username=demo.OPERATOR, is_active=True)
        tokens = ServiceToken.objects.filter(name=demo.SERVICE, revoked_at=None)
        found = [*people.values_list("username", flat=True), *tokens.values_list("name", flat=True)[:1]]
    except DatabaseError:
        return  # no tables yet: nobody is there
    if found:
        yield Error(
            f"Demo people are in this database: {', '.join(found)}.",
            hint="They come from `manage.py up`. Deactivate and revoke them, or take a database of production's own.",
            id="tirelire.E001",
        )


@register(Tags.database, deploy=True)
def role_owns_nothing(databases: Sequence[str] | None = None, **_: Any) -> Iterator[CheckMessage]:
    """The role that the application runs as must be bound by the append-only rules."""
    if not settings.PRODUCTION or "default" not in (databases or []):
        return
    try:
        excess = roles.excess_privileges(connections["default"])
    except DatabaseError:
        return
    if excess:
        yield Warning(
            f"This database role may do more than the application needs: {'; '.join(excess)}.",
            hint="Run the SQL of `manage.py create_roles`; web, worker and beat use the application's role.",
            id="tirelire.W001",
        )
