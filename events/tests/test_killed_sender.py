"""A sender that is killed between sending and noting: the receiver hears it twice under one id, never zero times."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from events import deliveries, dispatching, endpoints, posting
from events.models import Delivery, Event
from events.tests.receivers import Receiver

PATIENCE_SECONDS = 60


@pytest.mark.django_db(transaction=True)
def test_killed_between_sending_and_noting_it_is_heard_twice_and_never_lost(
    receiver: Receiver, tell: Callable[..., Event]
) -> None:
    user = User.objects.create(username="ada")
    _, secret = endpoints.add(url=receiver.url, by="shop")
    event = tell(user)
    dispatching.tell_new()
    command = [sys.executable, "-m", "events.tests.doomed_sender", str(connection.settings_dict["NAME"])]
    doomed = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(settings.BASE_DIR)
    )
    assert doomed.stdout
    assert doomed.stdout.readline() == "sent 200\n"
    doomed.kill()
    doomed.communicate(timeout=PATIENCE_SECONDS)

    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("sending", 1)
    assert deliveries.claim(10, at=row.due_at - timedelta(seconds=1)) == []
    [letter] = deliveries.claim(10, at=row.due_at)
    deliveries.note(letter, posting.post(letter.url, letter.headers, letter.body))
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 2)
    assert [each["id"] for each in receiver.verified(secret)] == [str(event.pk)] * 2
