"""Real worker and beat processes for tests; each dies with its test, whole group at once."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

CELERY = [sys.executable, "-m", "celery", "-A", "config.tests.worker_app"]
WORKER = [*CELERY, "worker", "-c", "1", "--without-gossip", "--without-mingle"]
BEAT = [*CELERY, "beat", "--pidfile="]


@contextlib.contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_group(process)


def kill_group(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """Below those that the kernel hands out to clients: one of them, waiting for a server, may connect to itself."""
    while True:
        port = random.randrange(12_000, 32_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
