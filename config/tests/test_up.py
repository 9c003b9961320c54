"""`manage.py up`, started for real: it serves, mends itself, and leaves no process behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from config.tests.reaper import Terminal

BASE_DIR = Path(__file__).resolve().parents[2]
REAPER = Path(__file__).with_name("reaper.py")
pytestmark = pytest.mark.xdist_group("up")


@pytest.fixture(scope="module")
def var_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture
def laptop(var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of somebody who has just cloned the repository."""
    for name in ("DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "PYTEST_XDIST_WORKER", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VAR_DIR", str(var_dir))


def up(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), "up", *arguments]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "SIGKILL", "closed-terminal"])
def test_no_process_is_left_behind(how: str, laptop: None) -> None:
    command = [sys.executable, str(REAPER), how, *up("--port", str(free_port()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    for service in ("granian", "celery -A config worker", "celery -A config beat", "postgres -D", "valkey-server"):
        assert any(service in line for line in seen["alive"]), (service, seen["alive"])
    assert seen["code"] == (-signal.SIGKILL if how == "SIGKILL" else 0)


@pytest.fixture
def running(laptop: None) -> Iterator[Terminal]:
    terminal = Terminal(up("--port", str(free_port())))
    terminal.read_until(r"Stop +Ctrl-C")
    yield terminal
    terminal.end("SIGTERM")
    terminal.drain()
    os.waitpid(terminal.pid, 0)


def processes(marker: str, *, within: int) -> list[int]:
    """The numbers of those processes of the session's tree whose command line has the marker."""
    found = subprocess.run(["/bin/ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in found.stdout.splitlines()]
    return [int(pid) for pid, parent, line in rows if marker in line and int(parent) == within]


def test_killed_worker_is_started_again(running: Terminal) -> None:
    [worker] = processes("celery -A config worker", within=running.pid)
    os.kill(worker, signal.SIGKILL)
    running.read_until(r"worker ended with -9")


def test_killed_database_comes_back_with_its_data(running: Terminal, var_dir: Path) -> None:
    known = json.loads((var_dir / "demo.json").read_text())
    servers = json.loads((var_dir / "dev" / "host.json").read_text())
    os.kill(servers["postgres_pid"], signal.SIGKILL)
    with_token = urllib.request.Request(
        known["base_url"] + "/api/v1/me", headers={"Authorization": f"Bearer {known['service_token']}"}
    )
    assert answer_after_recovery(with_token) == 200


def test_killed_host_of_the_servers_is_replaced(running: Terminal, var_dir: Path) -> None:
    servers = json.loads((var_dir / "dev" / "host.json").read_text())
    os.kill(servers["host_pid"], signal.SIGKILL)
    running.read_until(r"embedded servers are gone; starting them again")
    known = json.loads((var_dir / "demo.json").read_text())
    assert answer_after_recovery(urllib.request.Request(known["base_url"] + "/health/ready")) == 200


def answer_after_recovery(request: urllib.request.Request) -> int:
    """Ask until the answer is no longer "not now"; each refused try is a real request, so nothing is slept away."""
    status = 0
    for _ in range(2000):
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            status = error.code
            assert status == 503, error.read()
        except OSError:
            status = 0
    return status


def test_port_in_use_is_said_plainly(laptop: None) -> None:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(up("--port", str(port)), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert f"up --port {port + 1}" in done.stderr
    assert "Traceback" not in done.stderr


def test_fresh_without_a_terminal_deletes_nothing(laptop: None, var_dir: Path) -> None:
    before = (var_dir / "demo.json").read_text()
    done = subprocess.run(up("--fresh"), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--fresh --yes" in done.stderr
    assert (var_dir / "demo.json").read_text() == before


def test_second_up_of_one_folder_is_refused(running: Terminal) -> None:
    done = subprocess.run(up("--port", str(free_port())), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "already runs from this folder" in done.stderr
