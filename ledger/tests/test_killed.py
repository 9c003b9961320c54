import subprocess
import sys

import pytest
from django.conf import settings
from django.db import connection

from ledger import checks
from ledger.models import Entry, EntryKey, Transfer
from ledger.tests.books import balance, guarded, house, move

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("stop_before", ["_write", "_apply"])
def test_a_killed_process_leaves_no_half_entry(stop_before: str) -> None:
    """Killed once it has the key, or once entry and transfers are written and only the balances are missing."""
    grant, spent = guarded("grant:1", having=10), house("credits:spent")
    booked = Entry.objects.count()
    command = [sys.executable, "-m", "ledger.tests.killed_process", str(connection.settings_dict["NAME"]), stop_before]
    with subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "in the middle\n"
        finally:
            process.kill()
    # The dead one's transaction may still be there for a moment: the same key waits for its end, then is free.
    assert not move(grant, spent, 10, key="spend:1").is_replay
    assert Entry.objects.count() == EntryKey.objects.count() == Transfer.objects.count() == booked + 1
    assert (balance(grant), balance(spent)) == (0, 10)
    assert checks.faults() == {}
