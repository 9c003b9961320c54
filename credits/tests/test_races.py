"""Bursts of real threads and real processes: exactly what there is can be spent, and no error reaches a client."""

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path
from threading import Event as Signal

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from credits import balances, errors, grants, holds, purses, usage
from credits.asked import Use
from credits.models import Grant, Spend
from credits.tests import gates
from credits.tests.people import give, make_user
from ledger import checks
from ledger.models import Transfer
from ledger.tests.races import run_all, run_together

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECONDS = 60


def test_fifty_clients_get_exactly_what_there_is_while_grants_come_and_go() -> None:
    user = make_user()
    give(user, 11)
    give(user, 9, expires_at=timezone.now() + timedelta(days=3))
    ending = give(user, 12, expires_at=timezone.now() + timedelta(days=1))
    settled_down = Signal()  # the late grant has come, and the other one has ended
    numbers = iter(range(50))

    def client() -> int:
        number = next(numbers)
        try:
            usage.spend(user=user, amount=1, key=f"client {number}")
        except errors.InsufficientCredits:
            assert settled_down.wait(PATIENCE_SECONDS)
            try:
                usage.spend(user=user, amount=1, key=f"client {number} again")
            except errors.InsufficientCredits:
                return 0
        return 1

    def comings_and_goings() -> int:
        give(user, 7)
        with transaction.atomic():
            purses.lock(user)  # else a spend between the clock's reading and the commit would not know of it
            Grant.objects.filter(pk=ending.pk).update(expires_at=Now())
        grants.expire_due()
        settled_down.set()
        return 0

    booked = sum(run_all([client] * 50 + [comings_and_goings]))
    ending.refresh_from_db()
    expired = sum(
        Transfer.objects.filter(source=ending.account, target__name="credits:expired:CREDIT").values_list(
            "amount", flat=True
        )
    )
    assert booked == 11 + 9 + 7 + 12 - expired
    assert Spend.objects.count() == booked
    assert balances.of(user).available == 0
    late = Spend.objects.filter(entry__transfers__source=ending.account, created_at__gt=ending.expires_at)
    assert not late.exists()
    assert checks.faults() == {}


def test_one_key_from_twelve_threads_books_once() -> None:
    user = make_user()
    give(user, 100)
    results = run_together(12, lambda: usage.spend(user=user, amount=5, key="one"))
    assert len({each.id for each in results}) == 1
    assert Counter(each.is_replay for each in results) == {False: 1, True: 11}
    assert {each.available for each in results} == {95}
    assert balances.of(user).available == 95


def test_one_grant_key_from_eight_threads_gives_once() -> None:
    user = make_user()
    assert len({grant.pk for grant in run_together(8, lambda: give(user, 10, key="payment:1"))}) == 1
    assert balances.of(user).available == 10
    assert Grant.objects.count() == 1


def test_settle_or_release_but_not_both() -> None:
    user = make_user()
    give(user, 80)
    made = [holds.reserve(user=user, amount=8, key=f"hold {number}").id for number in range(10)]

    def settle(hold: object) -> str:
        try:
            holds.settle(hold=hold, amount=8)  # type: ignore[arg-type]
        except errors.HoldResolved as refused:
            return f"refused: {refused.state}"
        return "settled"

    def release(hold: object) -> str:
        try:
            holds.release(hold=hold)  # type: ignore[arg-type]
        except errors.HoldResolved as refused:
            return f"refused: {refused.state}"
        return "released"

    acts = [lambda hold=hold, act=act: act(hold) for hold in made for act in (settle, release)]
    results = run_all(acts)
    for first, second in zip(results[::2], results[1::2], strict=True):
        assert {first, second} in ({"settled", "refused: settled"}, {"released", "refused: released"})
    settled = results.count("settled")
    assert balances.of(user).available == 80 - 8 * settled
    assert checks.faults() == {}


def test_two_batches_over_the_same_customers_both_come_through() -> None:
    users = [make_user() for _ in range(20)]
    for user in users:
        give(user, 4)

    def batch(order: list[int], name: str) -> int:
        wishes = [usage.Wish(user=users[n], use=Use(key=f"{name} {n}", amount=3)) for n in order]
        return sum(isinstance(each, usage.Spent) for each in usage.spend_many(wishes))

    forth, back = list(range(20)), list(reversed(range(20)))
    assert sum(run_all([lambda: batch(forth, "a"), lambda: batch(back, "b")])) == 20
    assert checks.faults() == {}


# ---------------------------------------------------------------- processes


def start_process(user_id: int, name: str, act: str) -> subprocess.Popen[str]:
    database = connection.settings_dict["NAME"]
    command = [sys.executable, "-m", "credits.tests.rival_process", str(database), str(user_id), name, act]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(settings.BASE_DIR)
    )


def test_four_processes_of_eight_threads_get_exactly_what_there_is() -> None:
    user = make_user()
    give(user, 9)
    give(user, 8, expires_at=timezone.now() + timedelta(days=1))
    rivals = [start_process(user.pk, f"process {number}", "burst") for number in range(4)]
    for rival in rivals:
        assert rival.stdout
        assert rival.stdout.readline() == "ready\n"
    answers = [rival.communicate("go\n", timeout=PATIENCE_SECONDS)[0].split() for rival in rivals]
    assert Counter(word for answer in answers for word in answer) == {"Spent": 17, "InsufficientCredits": 15}
    assert balances.of(user).available == 0
    assert checks.faults() == {}


def test_a_killed_process_leaves_nothing_half() -> None:
    user = make_user()
    give(user, 10)
    victim = start_process(user.pk, "victim", "stop in the middle")
    assert victim.stdout
    assert victim.stdout.readline() == "in the middle\n"  # booked, and not committed
    victim.kill()
    victim.communicate(timeout=PATIENCE_SECONDS)
    # The same key: waits until the server has seen that the other is gone, then finds nothing of it.
    assert not usage.spend(user=user, amount=4, key="victim").is_replay
    assert balances.of(user).available == 6
    assert Spend.objects.count() == 1
    assert checks.faults() == {}


def test_a_backend_that_dies_inside_the_function_leaves_nothing_half() -> None:
    user = make_user()
    give(user, 10)
    gate = gates.gated("spend.sql", "credits_record", "INSERT INTO credits_spend (")  # the books are written by then

    def kill() -> None:
        gates.wait_for_a_rival()
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {gates.AT_THE_GATE}",  # noqa: S608
                [gates.GATE],
            )

    with gates.variant(gate):
        results = gates.run_through_the_gate([lambda: usage.spend(user=user, amount=4, key="s"), kill])
    assert type(results[0]).__name__ == "OperationalError"
    assert balances.of(user).available == 10
    assert Spend.objects.count() == 0
    assert checks.faults() == {}
