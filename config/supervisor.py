"""Runs web, stream, worker and beat as separate processes of one terminal, and leaves none of them behind."""

import contextlib
import itertools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import embedded
from config import translations

WATCHED_ENDINGS = (".py", ".sql", ".html", ".yaml", ".po")
UNWATCHED_FOLDERS = {"var", "node_modules", "__pycache__", "tests", "docs", "bench"}
STOP_SECONDS = 15
YOUNG_SECONDS = 3
LONGEST_WAIT_SECONDS = 30
COLOURS = itertools.cycle(("36", "33", "35", "34", "32", "31"))


@dataclass(kw_only=True)
class Service:
    """One process that Tirelire consists of."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    parting_signal: signal.Signals = signal.SIGTERM  # what it gets when the supervisor itself is killed
    comes_second: bool = False  # at a first start: once the others are ready, so that they have the processor
    colour: str = field(default_factory=lambda: next(COLOURS))
    process: subprocess.Popen[str] | None = None
    started_at: float = 0.0
    failures: int = 0  # in a row, each soon after its start
    start_again_at: float | None = None
    follower: threading.Thread | None = None

    def start(self, folder: Path, out: "Output") -> None:
        self.process = subprocess.Popen(
            self.command,
            cwd=folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=embedded.die_with_parent(self.parting_signal),
        )
        self.started_at = time.monotonic()
        self.start_again_at = None
        self.follower = threading.Thread(target=out.follow, args=(self, self.process.stdout), daemon=True)
        self.follower.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def make_stop(self, until: float) -> None:
        """Wait for a clean end, then take away what is left of its process group."""
        if self.process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, until - time.monotonic()))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Output:
    """The one terminal that all services write to, each line with the name of who wrote it."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.is_coloured = stream.isatty() and "NO_COLOR" not in os.environ
        self.lock = threading.Lock()

    def follow(self, service: Service, lines: IO[str]) -> None:
        prefix = f"{service.name:>7} | "
        if self.is_coloured:
            prefix = f"\033[{service.colour}m{prefix}\033[0m"
        with contextlib.suppress(ValueError), lines:  # the pipe was closed under us
            for line in lines:
                self.say(prefix + line.rstrip("\n"))

    def say(self, text: str) -> None:
        with self.lock:
            try:
                self.stream.write(text + "\n")
                self.stream.flush()
            except ValueError:  # closed by us
                pass
            except OSError:  # a closed terminal is no reason to fall over
                self.fall_silent()

    def fall_silent(self) -> None:
        """What could not be written stays in Python's buffer; in vain at the end, it makes the exit code 120."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)


class Bell:
    """Rung by a signal handler, heard by the loop. No Event: its `set` takes the lock that `wait` may just hold."""

    def __init__(self) -> None:
        self.ear, self.rope = os.pipe()
        os.set_blocking(self.rope, False)

    def ring(self, *_: object) -> None:
        with contextlib.suppress(BlockingIOError):  # rung some ten thousand times already
            os.write(self.rope, b"!")

    def is_heard(self, within: float) -> bool:
        """Once rung it is heard for ever."""
        return bool(select.select([self.ear], [], [], within)[0])


class Supervisor:
    """Starts services, restarts what ends or changed, and stops all of them at a signal."""

    def __init__(self, folder: Path, services: list[Service], out: Output) -> None:
        self.folder = folder
        self.services = services
        self.out = out
        self.stopping = Bell()
        self.seen = dict(_watched_files(folder))

    def stop_at_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.stopping.ring)

    def run(self, *, when_ready: Callable[[], None], is_ready: Callable[[], bool]) -> None:
        # Children are started by this thread only: on Linux they are told when the *thread* that made them dies.
        waiting = True
        try:
            self.start(comes_second=False)
            while not self.stopping.is_heard(within=0.1 if waiting else 0.5):
                if waiting and is_ready():
                    waiting = False
                    self.start(comes_second=True)
                    when_ready()
                self.mend_servers()
                self.restart_after_change()
                self.restart_what_ended()
        finally:
            self.stop()

    def start(self, *, comes_second: bool) -> None:
        for service in self.services:
            if service.comes_second == comes_second and service.process is None:
                service.start(self.folder, self.out)

    def mend_servers(self) -> None:
        """The host restarts a dead server by itself; a host that was killed is started again here."""
        if embedded.is_in_use("dev") and embedded.running("dev") is None:
            self.out.say("The embedded servers are gone; starting them again.")
            embedded.ensure("dev")
            self.restart()

    def restart_after_change(self) -> None:
        now = dict(_watched_files(self.folder))
        if now == self.seen:
            return
        changed = sorted({path for path, _ in now.items() ^ self.seen.items()})
        self.seen = now
        self.out.say(f"{os.path.relpath(changed[0], self.folder)} changed; restarting.")
        self.restart()

    def restart(self) -> None:
        self.stop()
        translations.compile_stale()
        for service in self.services:
            service.failures = 0
            service.start(self.folder, self.out)

    def restart_what_ended(self) -> None:
        for service in self.services:
            now = time.monotonic()
            if service.start_again_at is not None:
                if now >= service.start_again_at:
                    service.start(self.folder, self.out)
                continue
            if service.process is None or service.process.poll() is None:
                continue
            code = service.process.returncode
            service.make_stop(now)  # its own children, if it died badly
            if now - service.started_at > YOUNG_SECONDS:
                service.failures = 0
                self.out.say(f"{service.name} ended with {code}; starting it again.")
                service.start(self.folder, self.out)
            else:
                service.failures += 1
                wait = min(2**service.failures, LONGEST_WAIT_SECONDS)
                service.start_again_at = now + wait
                self.out.say(f"{service.name} ended with {code} at once; next try in {wait} s, or when a file changes.")

    def stop(self) -> None:
        for service in reversed(self.services):
            service.ask_to_stop()
        until = time.monotonic() + STOP_SECONDS
        for service in self.services:
            service.make_stop(until)


def _watched_files(folder: Path) -> Iterator[tuple[str, float]]:
    folders = [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in UNWATCHED_FOLDERS:
                        folders.append(entry.path)
                elif entry.name.endswith(WATCHED_ENDINGS):
                    yield entry.path, entry.stat().st_mtime


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
