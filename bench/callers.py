"""Those who call a spend without HTTP: pgbench, and threads of one Python process."""

import random
import re
import subprocess
import tempfile
import threading
import time
import uuid

from django.contrib.auth.models import User
from django.db import connection

import embedded
from bench import databases
from bench.books import ACTION, Books
from bench.measuring import WentWrong
from credits import usage

CLIENTS = 8
WARM_SECONDS = 0.3  # not counted
_SCRIPT = """\
\\set user random({first}, {last})
SELECT * FROM credits_spend(:user, 'CREDIT', 1, gen_random_uuid()::text, gen_random_uuid(), 'bench.act', 1, 1, \
'job-' || :user, NULL, NULL, 20, NULL);
"""
_TPS = re.compile(r"^tps = ([0-9.]+) \(without", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([1-9][0-9]*)", re.MULTILINE)


def pgbench(database: str, books: Books, customers: int, seconds: float) -> float:
    """Spends a second by PostgreSQL's own client in C, with the statement that the product prepares."""
    last = books.first_user_id + customers - 1
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_SCRIPT.format(first=books.first_user_id, last=last))
        script.flush()
        command = [str(embedded.postgres_binaries() / "pgbench"), "-n", "-M", "prepared", "-f", script.name]
        done = subprocess.run(
            [*command, "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))],
            env=databases.environment(database),
            capture_output=True,
            text=True,
            check=False,
        )
    found = _TPS.search(done.stdout)
    if done.returncode != 0 or found is None or _FAILED.search(done.stdout):
        raise WentWrong(f"pgbench ended with {done.returncode}: {done.stdout[-800:]} {done.stderr[-800:]}")
    return float(found[1])


def threads(database: str, books: Books, customers: int, seconds: float) -> float:
    """Spends a second by `usage.spend` in threads of this process, each with a connection of its own."""
    at_the_start = threading.Barrier(CLIENTS + 1)
    counts = [0] * CLIENTS
    mistakes: list[Exception] = []
    people = [User(pk=books.first_user_id + number) for number in range(customers)]  # as a view has them: known already
    clock = {"from": 0.0, "until": 0.0}

    def work(number: int) -> None:
        try:
            connection.ensure_connection()
            at_the_start.wait()
            at_the_start.wait()  # the clock is set
            while (now := time.perf_counter()) < clock["until"]:
                user = random.choice(people)  # noqa: S311
                usage.spend(user=user, key=str(uuid.uuid4()), action=ACTION, reference=f"job-{user.pk}")
                counts[number] += now >= clock["from"]
        except Exception as error:  # noqa: BLE001 - told below, in the thread that asked
            mistakes.append(error)
            at_the_start.abort()
        finally:
            connection.close()

    with databases.using(database):
        workers = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
        for each in workers:
            each.start()
        try:
            at_the_start.wait()
            clock["from"] = time.perf_counter() + WARM_SECONDS
            clock["until"] = clock["from"] + seconds
            at_the_start.wait()
        except threading.BrokenBarrierError:
            pass
        for each in workers:
            each.join()
    if mistakes:
        raise WentWrong(f"usage.spend failed: {mistakes[0]}") from mistakes[0]
    return sum(counts) / seconds
