"""Run by test_killed.py in a process of its own: begin to book, and stop in the middle until somebody kills it."""

import os
import sys

import django
from django.db import connection

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"


def wait_to_be_killed(*_: object) -> None:
    sys.stdout.write("in the middle\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    django.setup()
    database, stop_before = sys.argv[1:]
    connection.settings_dict["NAME"] = database
    from ledger import transfers
    from ledger.models import Account
    from ledger.tests.books import move

    setattr(transfers, stop_before, wait_to_be_killed)
    move(Account.objects.get(name="grant:1"), Account.objects.get(name="credits:spent"), 10, key="spend:1")
