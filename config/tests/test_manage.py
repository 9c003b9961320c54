"""What manage.py says to those whose machine cannot run Tirelire."""

import ast
import runpy
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

import conftest
import embedded
from embedded import system
from embedded.host import Postgres, forget

BASE_DIR = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", ["total", "used", "free"])


def test_old_pythons_can_read_manage_py() -> None:
    source = (BASE_DIR / "manage.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    assert 'f"' not in source


def test_old_python_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    manage = runpy.run_path(str(BASE_DIR / "manage.py"))
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    with pytest.raises(SystemExit) as refusal:
        manage["main"]()
    assert str(refusal.value).startswith("Tirelire needs Python 3.11 or newer; this is Python 3.9")


def test_options_of_up_are_told_before_anything_is_installed() -> None:
    """By an interpreter that has no packages at all."""
    command = [sys.executable, "-S", str(BASE_DIR / "manage.py"), "up", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--sandbox-port" in told
    assert "until Ctrl-C" in told


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """manage.py in a folder with an .env; what it says when it ends there, or "goes on" where it would go further."""
    shutil.copy(BASE_DIR / "manage.py", tmp_path)
    monkeypatch.delenv("APP_ENV", raising=False)

    def said(env_file: str, *arguments: str) -> str:
        (tmp_path / ".env").write_text(env_file)
        manage = runpy.run_path(str(tmp_path / "manage.py"))
        for step in ("enter_venv", "run_tests", "run_sandbox"):
            monkeypatch.setitem(manage["main"].__globals__, step, lambda *_: sys.exit("goes on"))
        monkeypatch.setattr(sys, "argv", ["manage.py", *arguments])
        with pytest.raises(SystemExit) as end:
            manage["main"]()
        return str(end.value)

    return said


@pytest.mark.parametrize("command", ["up", "test", "sandbox", "bench"])
@pytest.mark.parametrize("line", ["APP_ENV=production", "export APP_ENV='production'", 'A=b\nAPP_ENV="production"\n'])
def test_what_is_for_laptops_is_refused_where_the_file_says_production(
    machine: Callable[..., str], command: str, line: str
) -> None:
    assert machine(line, command).startswith(f"`manage.py {command}` is for a laptop, and here .env says APP_ENV=prod")


def test_environment_comes_before_the_file(machine: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    assert machine("APP_ENV=production", "up") == "goes on"
    monkeypatch.setenv("APP_ENV", "production")
    assert "here the environment says APP_ENV=production" in machine("APP_ENV=development", "test")


@pytest.mark.parametrize("line", ["", "#APP_ENV=production", "APP_ENV=development"])
def test_laptop_goes_on(machine: Callable[..., str], line: str) -> None:
    assert machine(line, "up") == "goes on"


def test_place_without_tests_is_named() -> None:
    asked = ["config/tests", "config/tests/test_manage.py::test_place", "some/wrong/path", "ledger/tests/test_no.py::x"]
    assert conftest.missing_paths(asked, BASE_DIR) == ["some/wrong/path", "ledger/tests/test_no.py"]


def test_full_disk_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**6, 10**6))
    with pytest.raises(embedded.CannotStart, match="has 1 MB free and PostgreSQL needs 300 MB"):
        embedded.ensure("full")
    assert not (tmp_path / "full" / "pg").exists()


def test_folder_that_is_a_file_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "var").write_text("")
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))
    with pytest.raises(embedded.CannotStart, match="did not start"):
        embedded.ensure("dev")


def test_number_of_a_stranger_in_the_pid_file_kills_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash of the machine, the number of the old postmaster may belong to any process."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # which the wheel of PostgreSQL looks for
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as stranger:
        assert stranger.stdin is not None
        postgres = Postgres(tmp_path, sizes={}, throwaway=True)
        postgres.data = tmp_path / "pg"
        postgres.data.mkdir()
        (postgres.data / "postmaster.pid").write_text(f"{stranger.pid}\n")
        postgres.end_orphan()
        assert stranger.poll() is None
        assert not (postgres.data / "postmaster.pid").exists()
        stranger.stdin.close()
        assert stranger.wait() == 0


def test_to_forget_deletes_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    outside = tmp_path / "outside"
    monkeypatch.setattr(system, "home_of", lambda run: outside)
    for folder in (tmp_path / "dev", outside):
        folder.mkdir()
        (folder / "PG_VERSION").write_text("18")
    forget("dev")
    assert not (tmp_path / "dev").exists()
    assert not outside.exists()
