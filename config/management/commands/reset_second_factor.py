"""Take away the second factor of an operator who lost it, when no other superuser can do so in the admin."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction


class Command(BaseCommand):
    help = (
        "Remove every second factor and recovery code of an operator, who then sets up a new one at the next sign-in."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            person = User.objects.get(username=options["username"], is_staff=True)
        except User.DoesNotExist as error:
            raise CommandError(f"There is no operator {options['username']!r}.") from error
        factors = list(Authenticator.objects.filter(user=person))
        for factor in factors:
            factor.delete()  # one by one, so that the audit log keeps each
        self.stdout.write(f"{person.username}: {len(factors)} removed")
