"""`manage.py up`, started for real: it serves, mends itself, and leaves no process behind however it ends."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config.management.commands.up import Command, services
from config.supervisor import Output
from config.tests.processes import free_port
from config.tests.reaper import GIVE_UP_SECONDS, Terminal
from rest.tests.operators import Console

BASE_DIR = Path(__file__).resolve().parents[2]
REAPER = Path(__file__).with_name("reaper.py")


# Python buffers what it writes unless somebody asks it not to, as CI's machines do and laptops do not.
INHERITED = ("DATABASE_URL", "REDIS_URL", "REDIS_PREFIX", "PYTEST_XDIST_WORKER", "APP_ENV", "PYTHONUNBUFFERED")


class Laptop:
    """A folder of state, and the environment of somebody who has just cloned the repository."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
        self.environment["VAR_DIR"] = str(var_dir)

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def read(self, name: str) -> dict[str, Any]:
        known: dict[str, Any] = json.loads((self.var_dir / name).read_text())
        return known


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Laptop, subprocess.CompletedProcess[str]]:
    """The first start of all: made once, since migrating takes most of its time."""
    laptop = Laptop(tmp_path_factory.mktemp("up") / "var")
    return laptop, laptop.run(ended_by("SIGTERM"))


@pytest.fixture(scope="module")
def prepared(first: tuple[Laptop, subprocess.CompletedProcess[str]]) -> Path:
    """The state that a first start leaves."""
    laptop, done = first
    assert done.returncode == 0, done.stdout + done.stderr
    return laptop.var_dir


@pytest.fixture
def laptop(prepared: Path, tmp_path: Path) -> Laptop:
    return Laptop(shutil.copytree(prepared, tmp_path / "var"))


@pytest.fixture(scope="module")
def running(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Terminal, Laptop]]:
    laptop = Laptop(shutil.copytree(prepared, tmp_path_factory.mktemp("running") / "var"))
    terminal = Terminal(up("--port", str(free_port())), laptop.environment)
    terminal.read_until(r"Stop +Ctrl-C")
    terminal.follow()
    yield terminal, laptop
    terminal.end("SIGTERM")
    terminal.reader.join()
    os.waitpid(terminal.pid, 0)


def up(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), "up", "--sandbox-port", str(free_port()), *arguments]


def ended_by(how: str) -> list[str]:
    return [sys.executable, str(REAPER), how, *up("--port", str(free_port()))]


def test_no_process_is_left_behind_by_the_first_start(first: tuple[Laptop, subprocess.CompletedProcess[str]]) -> None:
    _, done = first
    assert_nothing_is_left(done, "SIGTERM")


@pytest.mark.parametrize("how", ["ctrl-c", "SIGKILL", "closed-terminal"])
def test_no_process_is_left_behind(how: str, laptop: Laptop) -> None:
    assert_nothing_is_left(laptop.run(ended_by(how)), how)


def assert_nothing_is_left(done: subprocess.CompletedProcess[str], how: str) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)
    for service in (
        "granian",
        "uvicorn",
        "-m sandbox",
        "config worker",
        "config beat",
        "postgres -D",
        "valkey-server",
    ):
        assert any(service in line for line in seen["alive"]), (service, seen["alive"])
    assert seen["code"] == (-signal.SIGKILL if how == "SIGKILL" else 0)


def children_of(pid: int, marker: str) -> list[int]:
    # Twice w: a line is cut at the width of a terminal that the environment may speak of.
    command = ["/bin/ps", "-ww", "-eo", "pid=,ppid=,args="]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in found.stdout.splitlines()]
    return [int(child) for child, parent, line in rows if int(parent) == pid and marker in line]


def test_the_web_sends_listeners_to_the_streams(running: tuple[Terminal, Laptop]) -> None:
    _, laptop = running
    known = laptop.read("demo.json")
    as_customer = {"Authorization": f"Bearer {known['customer']['token']}"}
    asked = urllib.request.Request(known["base_url"] + "/api/v1/events", headers=as_customer)
    assert answer_after_recovery(asked) == 200
    with urllib.request.urlopen(asked, timeout=60) as stream:  # follows the redirect, which carries a ticket
        assert stream.url.startswith(known["stream_url"] + "/api/v1/events?ticket=")
        lines = [stream.readline() for _ in range(5)]
    assert b"event: stream.ready\n" in lines


def test_killed_worker_is_started_again(running: tuple[Terminal, Laptop]) -> None:
    terminal, _ = running
    # Another test may have made the supervisor start everything again a moment ago.
    worker = soon(lambda: children_of(terminal.pid, "config worker"))[0]
    os.kill(worker, signal.SIGKILL)
    assert terminal.saw(r"worker ended with -9")
    assert soon(lambda: set(children_of(terminal.pid, "config worker")) - {worker})


def test_killed_database_comes_back_with_its_data(running: tuple[Terminal, Laptop]) -> None:
    _, laptop = running
    known = laptop.read("demo.json")
    killed = laptop.read("dev/host.json")["postgres_pid"]
    os.kill(killed, signal.SIGKILL)
    # Its children may answer for a moment after it is gone.
    assert soon(lambda: laptop.read("dev/host.json")["postgres_pid"] != killed)
    # A token is looked up in the database, so this answer needs the rows of before.
    as_service = {"Authorization": f"Bearer {known['service_token']}"}
    assert answer_after_recovery(urllib.request.Request(known["base_url"] + "/api/v1/me", headers=as_service)) == 200


def test_killed_host_of_the_servers_is_replaced(running: tuple[Terminal, Laptop]) -> None:
    terminal, laptop = running
    killed = laptop.read("dev/host.json")["host_pid"]
    old = set(children_of(terminal.pid, "granian"))
    os.kill(killed, signal.SIGKILL)
    assert terminal.saw(r"embedded servers are gone; starting them again")
    # An old web server may answer for a moment after its host is gone, and the next test reads this file.
    assert soon(lambda: laptop.read("dev/host.json")["host_pid"] != killed)
    assert soon(lambda: children_of(terminal.pid, "granian") and not old & set(children_of(terminal.pid, "granian")))
    ready = urllib.request.Request(laptop.read("demo.json")["base_url"] + "/health/ready")
    assert answer_after_recovery(ready) == 200


def test_second_up_of_one_folder_is_refused(running: tuple[Terminal, Laptop]) -> None:
    _, laptop = running
    done = laptop.run(up("--port", str(free_port())))
    assert done.returncode == 1
    assert "already runs from this folder" in done.stderr


def test_the_gateways_in_a_box_stand_beside_and_write_to_us(running: tuple[Terminal, Laptop]) -> None:
    _, laptop = running
    known = laptop.read("demo.json")
    asked = urllib.request.Request(f"{known['sandbox_url']}/_settings/paypal")
    assert answer_after_recovery(asked) == 200
    with urllib.request.urlopen(asked, timeout=5) as reply:
        assert json.load(reply)["webhook_url"] == f"{known['base_url']}/webhooks/paypal"


def soon(look: Callable[[], Any]) -> Any:
    """What it finds once it finds anything; nothing in the end."""
    hangs_at = time.monotonic() + GIVE_UP_SECONDS
    while True:
        with contextlib.suppress(FileNotFoundError):  # while another host takes over
            if (found := look()) or time.monotonic() > hangs_at:
                return found
        threading.Event().wait(0.05)


def answer_after_recovery(request: urllib.request.Request) -> int:
    """Ask until the answer is no longer "not now"; a broken house answers 0 in the end. Another test may have made the
    supervisor start everything again a moment ago."""
    hangs_at = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < hangs_at:
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503:
                return int(refusal.code)
        except OSError:
            threading.Event().wait(0.05)  # the web server is being started again, and needs the processor for it
    return 0


def test_web_server_answers_by_the_address_that_up_was_given(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path
    port, out = free_port(), Output(io.StringIO())
    of_laptop = services("127.0.0.1", f"http://192.0.2.7:{port}", "http://192.0.2.7:1", out)
    web = next(service for service in of_laptop if service.name == "web")
    web.start(BASE_DIR, out)
    try:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/health/live", headers={"Host": f"192.0.2.7:{port}"})
        assert answer_after_recovery(asked) == 200
    finally:
        web.make_stop(until=0)


# ---------------------------------------------------------------- refused before anything is started


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


@pytest.fixture
def refusal(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What `up` says when it is started in this process, where nothing of it may go further than its checks."""
    settings.VAR_DIR = tmp_path

    def refused(*arguments: str) -> str:
        command = Command()
        monkeypatch.setattr(command, "prepare", pytest.fail)
        with pytest.raises(CommandError) as caught:
            call_command(command, *arguments)
        if hasattr(command, "lock"):
            command.lock.close()
        return str(caught.value)

    return refused


def offered(said: str, option: str) -> int:
    """Another port, which is free: the very next one may be somebody else's."""
    found = re.search(rf"up {option} (\d+)", said)
    assert found, said
    return int(found[1])


def test_port_in_use_is_said_plainly(refusal: Callable[..., str]) -> None:
    with taken_port() as port:
        said = refusal("--port", str(port))
    assert f"Cannot listen on 127.0.0.1:{port}" in said
    assert offered(said, "--port") > port


def test_sandbox_port_in_use_is_said_plainly(refusal: Callable[..., str]) -> None:
    with taken_port() as port:
        said = refusal("--port", str(free_port()), "--sandbox-port", str(port))
    assert offered(said, "--sandbox-port") > port


@pytest.mark.parametrize("port", ["0x50", "99999"])
def test_number_that_is_no_port_is_said_plainly(refusal: Callable[..., str], port: str) -> None:
    assert port in refusal("--port", port)


def test_fresh_without_a_terminal_deletes_nothing(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.running", lambda profile: object())
    monkeypatch.setattr("embedded.release", pytest.fail)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "demo.json").touch()
    assert "--fresh --yes" in refusal("--fresh")
    assert (tmp_path / "demo.json").exists()


def test_production_is_refused(refusal: Callable[..., str], settings: Any) -> None:
    settings.PRODUCTION = True
    assert "docker-compose.yml" in refusal()


def test_address_that_is_not_of_this_machine_is_said_plainly(refusal: Callable[..., str]) -> None:
    assert refusal("--host", "203.0.113.1") == "No port is free on 203.0.113.1."


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What must still be there after a refusal; the servers run, and nobody may delete what they have."""
    monkeypatch.setattr("embedded.running", lambda profile: object())
    monkeypatch.setattr("embedded.release", lambda profile: False)
    monkeypatch.setattr("config.management.commands.up.forget", pytest.fail)
    (tmp_path / "demo.json").touch()
    return tmp_path / "demo.json"


@pytest.mark.parametrize("typed", ["n\n", "\n", "yess\n", ""], ids=["no", "return", "a slip", "Ctrl-D"])
def test_fresh_deletes_nothing_unless_yes_is_typed(
    refusal: Callable[..., str], kept: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", Console(typed))
    assert refusal("--fresh") == "Nothing was deleted."
    assert kept.exists()


@pytest.mark.parametrize("typed", ["y\n", "Oui\n"])
def test_fresh_deletes_nothing_that_others_use(
    refusal: Callable[..., str], kept: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", Console(typed))
    assert refusal("--fresh") == "Another process uses the embedded servers. Close it, then try again."
    assert kept.exists()


def test_fresh_deletes_no_database_of_ones_own(
    refusal: Callable[..., str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.running", lambda profile: None)
    assert "yours is set by DATABASE_URL" in refusal("--fresh", "--yes")
    assert kept.exists()
