"""What the embedded servers need from the operating system: locks, ports, sockets, other users, parting signals."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
LONGEST_SOCKET_PATH = 100  # 108 characters on Linux, 104 on macOS


def take_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def socket_dir(run: Path) -> Path:
    if len(str(run / ".s.PGSQL.5432")) < LONGEST_SOCKET_PATH:
        return run
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:10]
    path = Path(tempfile.gettempdir()) / f"tirelire-{os.getuid()}-{digest}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise SystemExit(f"{path} belongs to somebody else")
    return path


def can_enter_user_namespace() -> bool:
    """Root can do this on most machines, but not inside a default Docker container."""
    if sys.platform != "linux" or os.environ.get("EMBEDDED_NO_USERNS"):
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


def home_of(run: Path) -> Path:
    """Where the cluster of a root without user namespaces is."""
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:10]
    return Path("/var/tmp") / f"tirelire-{digest}"  # noqa: S108 - checked by its user to be ours


def home_of_nobody(run: Path, binaries: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Root without user namespaces: the cluster belongs to `nobody`, with binaries where nobody can read them."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    home = home_of(run)
    home.mkdir(mode=0o711, exist_ok=True)
    if home.stat().st_uid != 0:
        raise SystemExit(f"{home} belongs to somebody else")
    install, package = binaries.parent, binaries.parent.parent
    library = home / f"lib-{install.name}"
    if not library.exists():
        new = home / "lib.new"
        shutil.rmtree(new, ignore_errors=True)
        skip = shutil.ignore_patterns("include")
        shutil.copytree(install, new / package.name / install.name, symlinks=True, ignore=skip)
        shutil.copytree(package.parent / f"{package.name}.libs", new / f"{package.name}.libs")
        for folder, _, names in os.walk(new):
            for path in [folder, *(os.path.join(folder, name) for name in names)]:
                os.chmod(path, 0o755)  # noqa: S103 - nobody must be able to run them
        new.rename(library)
    for name in ("data", "sock"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
        os.chown(home / name, nobody.pw_uid, nobody.pw_gid)
    who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return library / package.name / install.name / "bin", home, who


def die_with_parent(parting_signal: signal.Signals = signal.SIGTERM, *, as_other_user: bool = False) -> Any:
    """What a child runs before its program: a session of its own, and on Linux a signal when its parent dies."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def prepare() -> None:
        os.setsid()
        if libc is None:
            return
        if as_other_user:  # be uid 1000 in a user namespace; the files stay root's
            if libc.unshare(CLONE_NEWUSER):
                raise OSError(ctypes.get_errno(), "unshare")
            for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
                Path(f"/proc/self/{name}").write_text(text)
        libc.prctl(PR_SET_PDEATHSIG, parting_signal)

    return prepare


def end_with_parent() -> None:
    """From now on this worker ends when the process that started it dies, also if that is dead already; on Linux only.

    Killed, not asked: whoever might ask twice is dead, and a server that is asked while it starts may not listen.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent.pid:
        os._exit(0)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):  # a zombie does not count
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


def works_in(pid: int, folder: Path) -> bool:
    """Whether this process has that folder as its own, as a postmaster has its cluster; yes where nobody can tell."""
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == folder.resolve()
    except FileNotFoundError:
        return not Path("/proc/self/cwd").exists()
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def port_becomes_free(port: int) -> bool:
    for _ in range(60):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return True
        time.sleep(0.05)
    return False
