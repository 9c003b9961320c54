"""`manage.py up`: the whole product on this machine, until Ctrl-C."""

import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

import embedded
from config import demo, seeding, translations
from config.supervisor import Output, Service, Supervisor, python
from embedded import up_options
from embedded.host import forget

WEB_WORKERS = 2
WEB_THREADS = 4
# As in docker-compose.yml: no log of requests, whose addresses have tickets in them, and what clients say is not read.
STREAM_OPTIONS = [
    *("--log-level", "warning", "--no-access-log", "--no-proxy-headers", "--no-server-header"),
    *("--ws-max-size", "4096", "--timeout-graceful-shutdown", "5", "config.asgi:application"),
]


class Command(BaseCommand):
    help = up_options.HELP
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        up_options.add_to(parser, port=settings.PORT, sandbox_port=settings.SANDBOX_PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("`up` is for a laptop. In production run the services of docker-compose.yml.")
        started_at = time.monotonic()
        self.out = Output(sys.stdout)
        self.claim_folder()
        if options["fresh"]:
            self.start_afresh(asks=not options["yes"])
        host, port = options["host"], options["port"]
        sandbox_port = options["sandbox_port"]
        stream_port = options["stream_port"] or free_port(host, port + 1, besides=sandbox_port)
        self.check_port(host, port, option="--port")
        self.check_port(host, stream_port, option="--stream-port")
        self.check_port("127.0.0.1", sandbox_port, option="--sandbox-port")
        here = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}"  # noqa: S104
        base_url, stream_url, sandbox_url = (
            f"{here}:{port}",
            f"{here}:{stream_port}",
            f"http://127.0.0.1:{sandbox_port}",
        )
        people = self.prepare(base_url, stream_url=stream_url, sandbox_url=sandbox_url)
        everything = [sandbox(sandbox_port, base_url), *services(host, base_url, stream_url, self.out)]
        for service in everything:
            service.environment["SANDBOX_PORT"] = str(sandbox_port)
        supervisor = Supervisor(settings.BASE_DIR, everything, self.out)
        supervisor.stop_at_signals()
        pages = (base_url + "/health/live", stream_url + "/health/live", sandbox_url + "/_clock")
        supervisor.run(
            is_ready=lambda: all(answers(page) for page in pages),
            when_ready=lambda: self.out.say(people.banner(seconds=time.monotonic() - started_at)),
        )
        gone = embedded.release("dev")
        self.out.say("Stopped." if gone else "Stopped. The embedded servers stay up: another process uses them.")

    def claim_folder(self) -> None:
        settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
        self.lock = (settings.VAR_DIR / "up.lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("Tirelire already runs from this folder. Stop that one first (Ctrl-C).") from None

    def start_afresh(self, *, asks: bool) -> None:
        if embedded.running("dev") is None:
            raise CommandError("--fresh deletes the embedded database only; yours is set by DATABASE_URL.")
        if asks and not self.says_yes(f"This deletes every account, payment and credit in {settings.VAR_DIR}. Sure?"):
            raise CommandError("Nothing was deleted.")
        if not embedded.release("dev"):
            raise CommandError("Another process uses the embedded servers. Close it, then try again.")
        forget("dev")
        for name in ("demo.json", "sandbox.json"):
            (settings.VAR_DIR / name).unlink(missing_ok=True)
        self.lock.close()
        again = [word for word in sys.argv if word not in {"--fresh", "--yes"}]
        os.execv(sys.executable, [sys.executable, *again])

    def says_yes(self, question: str) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Not a terminal: say --fresh --yes to delete the local data without being asked.")
        try:
            said = input(f"{question} [y/N] ")
        except EOFError:  # Ctrl-D
            return False
        return said.strip().lower() in {"y", "yes", "o", "oui"}

    def check_port(self, host: str, port: int, *, option: str) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OverflowError:
                raise CommandError(f"{port} is no port: choose one between 1 and 65535.") from None
            except OSError as error:
                raise CommandError(
                    f"Cannot listen on {host}:{port} ({error.strerror}). Another program may use that port; "
                    f"stop it, or choose another: python3 manage.py up {option} {port + 1}"
                ) from None

    def prepare(self, base_url: str, *, stream_url: str, sandbox_url: str) -> demo.People:
        self.out.say("Preparing the database (the first time takes up to a minute).")
        translations.compile_stale()
        call_command("migrate", verbosity=0, interactive=False)
        seeding.seed_all()
        people = demo.seed(base_url, stream_url=stream_url, sandbox_url=sandbox_url)
        connections.close_all()
        return people


def sandbox(port: int, base_url: str) -> Service:
    """The gateways in a box: a program of its own, which remembers its payments over restarts."""
    state = str(Path(settings.VAR_DIR) / "sandbox.json")
    options = ["--port", str(port), "--state", state, "--webhooks-to", f"{base_url}/webhooks"]
    return Service(name="sandbox", command=python("-m", "sandbox", *options))


def services(host: str, base_url: str, stream_url: str, out: Output) -> list[Service]:
    metrics = Path(settings.VAR_DIR) / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    shared = {
        "BASE_URL": base_url,
        # An address of the local network is asked by that name, first of all by us: is it ready?
        "ALLOWED_HOSTS": ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, str(urlsplit(base_url).hostname)])),
        "STREAM_URL": stream_url,
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "SUPERVISED": "1",
        "FORCE_COLOR" if out.is_coloured else "NO_COLOR": "1",
        # A laptop's container often has no other user than root; Celery says so at every start.
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }
    port, stream_port = base_url.rpartition(":")[2], stream_url.rpartition(":")[2]
    granian = ["-m", "granian", "--interface", "wsgi", "--host", host, "--port", port, "--log-level", "warning"]
    sizes = ["--workers", str(WEB_WORKERS), "--blocking-threads", str(WEB_THREADS), "--respawn-failed-workers"]
    celery = ["-m", "celery", "-q", "-A", "config"]
    beat_state = str(Path(settings.VAR_DIR) / "beat")
    return [
        Service(
            name="web",
            command=python(*granian, *sizes, "config.wsgi:application"),
            environment=shared | {"DATABASE_KEEP_SECONDS": "600"},
            parting_signal=signal.SIGKILL,  # granian, asked to stop while it starts, may wait for ever
        ),
        Service(
            name="stream",
            command=python("-m", "uvicorn", "--host", host, "--port", stream_port, *STREAM_OPTIONS),
            environment=shared | {"DATABASE_POOL_SIZE": "2"},
        ),
        Service(
            name="worker",
            command=python(*celery, "worker", "-c", "2", "-l", "warning", "--without-gossip", "--without-mingle"),
            environment=shared,
            comes_second=True,
        ),
        Service(
            name="beat",
            command=python(*celery, "beat", "-l", "warning", "-s", beat_state, "--pidfile="),
            environment=shared,
            comes_second=True,
        ),
    ]


def free_port(host: str, wanted: int, *, besides: int) -> int:
    """The wanted port or the next that nobody has or wants; demo.json says which one it is.

    Rather not one that the kernel hands out to clients: who asks there before the server listens may connect to itself.
    """
    for port in (*range(wanted, wanted + 100), 0):
        if port == besides:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError, OverflowError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    raise CommandError(f"No port is free on {host}.")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:  # noqa: S310 - our own address
            return bool(reply.status == 200)  # noqa: PLR2004
    except (OSError, http.client.HTTPException):
        return False
