"""granian as in production, 2 workers with 4 threads each, serving the product and its rivals from one database."""

import contextlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from bench import databases
from bench.measuring import WentWrong

HOST = "127.0.0.1"
WORKERS, THREADS = 2, 4
START_SECONDS = 120


@contextlib.contextmanager
def serving(database: str) -> Iterator[int]:
    """The port of a server that works on that database, until the block is left."""
    folder = Path(tempfile.mkdtemp(prefix="tirelire-bench-"))
    port = free_port()
    sizes = ["--workers", str(WORKERS), "--blocking-threads", str(THREADS), "--backpressure", "64"]
    command = ["-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port), "--log-level", "warning"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *command, *sizes, "bench.server.wsgi:application"],
            cwd=settings.BASE_DIR,
            env=environment(database, folder),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(server, f"http://{HOST}:{port}/health/live", folder / "log")
            yield port
        finally:
            stop(server)
            shutil.rmtree(folder, ignore_errors=True)


def environment(database: str, folder: Path) -> dict[str, str]:
    metrics = folder / "metrics"
    metrics.mkdir()
    changed = {
        "DJANGO_SETTINGS_MODULE": "bench.server.settings",
        "DATABASE_URL": databases.url(database),
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_PREFIX": f"{database}:",
        "DATABASE_KEEP_SECONDS": "600",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        # As in production, where the embedded defaults for people differ.
        "DEBUG": "false",
        "LOG_FORMAT": "json",
        # One generator is as busy as a thousand shops, and the customers are to be known, as they are after a minute.
        "THROTTLE_SERVICE": "60000000/1m",
        "CUSTOMER_CACHE_SECONDS": "86400",
    }
    return {**os.environ, **changed}


def wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise WentWrong(f"The server ended with {server.returncode}: {log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own address
            return
        time.sleep(0.1)
    raise WentWrong(f"No answer within {START_SECONDS} seconds: {log.read_text(errors='replace')[-2000:]}")


def stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    """Below those that the kernel hands out to clients: one of them, waiting for the server, may connect to itself."""
    while True:
        port = random.randrange(12_000, 32_000)  # noqa: S311 - no secret
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port
