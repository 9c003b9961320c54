"""Run by test_killed_sender.py in a process of its own: sends a delivery, and never gets to note what came of it."""

import os
import sys

import django
from django.db import connection

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

if __name__ == "__main__":
    django.setup()
    connection.settings_dict["NAME"] = sys.argv[1]
    from django.conf import settings

    from events import deliveries, posting

    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = True
    [letter] = deliveries.claim(1)
    answer = posting.post(letter.url, letter.headers, letter.body)
    sys.stdout.write(f"sent {answer.status}\n")
    sys.stdout.flush()
    sys.stdin.read()  # here the test kills it
