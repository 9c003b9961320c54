"""Run by test_races.py in processes of their own: a burst of spends, or one that stops before it commits."""

import os
import sys

import django
from django.db import connection, transaction

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def burst() -> None:
    from credits import errors, usage
    from ledger.tests.races import run_all

    def spend(number: int) -> str:
        try:
            return type(usage.spend(user=user, amount=1, key=f"{name} {number}")).__name__
        except errors.InsufficientCredits as refused:
            return type(refused).__name__

    say("ready")
    sys.stdin.readline()
    say(" ".join(run_all([lambda number=number: spend(number) for number in range(8)])))  # type: ignore[misc]


def stop_in_the_middle() -> None:
    from credits import usage

    with transaction.atomic():
        usage.spend(user=user, amount=4, key=name)
        say("in the middle")
        sys.stdin.read()


if __name__ == "__main__":
    django.setup()
    database, user_id, name, act = sys.argv[1:]
    connection.settings_dict["NAME"] = database
    from django.contrib.auth.models import User

    user = User.objects.get(pk=user_id)
    {"burst": burst, "stop in the middle": stop_in_the_middle}[act]()
