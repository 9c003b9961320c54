"""Revoke a service token by how it begins, by its id or by its name."""

import contextlib
import uuid
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from rest import tokens
from rest.models import ServiceToken


class Command(BaseCommand):
    help = "Revoke a service token."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("token", help="how it begins (tl_ and eight characters), its id, or its name")

    def handle(self, *, token: str, **options: Any) -> None:
        which = Q(prefix=token[: tokens.VISIBLE_LENGTH]) if token.startswith(tokens.PREFIX) else Q(name=token)
        with contextlib.suppress(ValueError):
            which |= Q(pk=uuid.UUID(token))
        found = list(ServiceToken.objects.filter(which, revoked_at=None))
        if not found:
            raise CommandError("No token in force begins with, or is called, that.")
        if len(found) > 1:
            raise CommandError(f"Several tokens are called {token}: {', '.join(each.prefix for each in found)}.")
        tokens.revoke(token=found[0], by=None)
        self.stdout.write(
            f"{found[0]} is revoked. Every process refuses it within {settings.SERVICE_TOKEN_CACHE_SECONDS} seconds."
        )
