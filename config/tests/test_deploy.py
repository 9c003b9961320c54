"""The files of production: what docker-compose.yml would run is run here, on the embedded servers."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from django.conf import settings
from django.db import connection
from psycopg import sql

from config.management.commands.check_migration_batches import pg_dump
from config.tests.processes import free_port

BASE = Path(settings.BASE_DIR)
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
GIVEN = {
    "SECRET_KEY": "long-and-random-0123456789" * 2,
    "JWT_SECRET": "another-and-random-0123456789" * 2,
    "ALLOWED_HOSTS": "pay.example.com",
    "BASE_URL": "https://pay.example.com",
    "REDIS_PASSWORD": "redis-password",
    "POSTGRES_PASSWORD": "postgres-password",
    "APP_DATABASE_PASSWORD": "app-password",
}
PYTHON_SERVICES = ["web", "stream", "worker", "beat", "migrate"]


def resolved(text: str) -> str:
    def value(found: "re.Match[str]") -> str:
        if (given := GIVEN.get(found["name"])) is not None:
            return given
        assert found["kind"] == "-", f"{found['name']} has no default and was not given"
        return found["rest"] or ""

    return VARIABLE.sub(value, text).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((BASE / "docker-compose.yml").read_text())
    return loaded


def test_compose_file_is_valid() -> None:
    check = [str(Path(sysconfig.get_path("scripts"), "check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(BASE / "docker-compose.yml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_addresses_are_services_of_the_file(compose) -> None:
    for name in PYTHON_SERVICES:
        environment = compose["services"][name]["environment"]
        for variable in ("DATABASE_URL", "REDIS_URL"):
            assert urlsplit(resolved(environment[variable])).hostname in compose["services"]


def test_only_migrate_may_change_tables(compose) -> None:
    users = {}
    for name in PYTHON_SERVICES:
        users[name] = urlsplit(resolved(compose["services"][name]["environment"]["DATABASE_URL"])).username
    assert users.pop("migrate") == "postgres"
    assert users == dict.fromkeys(["web", "stream", "worker", "beat"], "tirelire_app")


def test_password_of_the_database_is_where_it_is_needed_only(compose) -> None:
    """`env_file` would hand all of .env to each of them; what `environment` says comes before it."""
    for name in PYTHON_SERVICES:
        said = {key: resolved(str(value)) for key, value in compose["services"][name]["environment"].items()}
        assert said["POSTGRES_PASSWORD"] == ""
        holders = [key for key, value in said.items() if GIVEN["POSTGRES_PASSWORD"] in value]
        assert holders == (["DATABASE_URL"] if name == "migrate" else [])


def test_front_is_counted_as_a_proxy(compose) -> None:
    for name in PYTHON_SERVICES:
        assert resolved(compose["services"][name]["environment"]["TRUSTED_PROXY_COUNT"]) == "1"


def test_database_is_ready_by_the_way_that_others_take(compose) -> None:
    """The server that the image initialises with listens on its socket alone, and soon ends."""
    assert "--host=127.0.0.1" in compose["services"]["postgres"]["healthcheck"]["test"]


def test_nothing_listens_to_the_outside(compose) -> None:
    for service in compose["services"].values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_image_starts_what_compose_starts(compose) -> None:
    [command] = re.findall(r"^CMD (\[.*\])$", (BASE / "Dockerfile").read_text(), re.MULTILINE)
    assert json.loads(command) == shlex.split(compose["services"]["web"]["command"])


def test_image_is_not_root_and_has_no_tests() -> None:
    lines = (BASE / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert "requirements-dev" not in "".join(lines)
    assert {"var", ".env", ".git", "**/tests"} <= set((BASE / ".dockerignore").read_text().splitlines())


def test_front_keeps_the_inside_inside() -> None:
    front = (BASE / "deploy" / "nginx.conf").read_text()
    for path in ("/metrics", "/health/detailed"):
        assert re.search(rf"location = {path} +{{ return 404; }}", front)
    for path in ("= /api/v1/events", "/ws/"):
        assert re.search(rf"location {path} +{{.*tirelire_stream; }}", front)
    for file in (front, (BASE / "deploy" / "tirelire-stream.conf").read_text()):
        assert re.search(r"X-Forwarded-For +\$remote_addr;", file)
        assert re.search(r'X-Internal-Key +"";', file)


def test_front_reads_on_the_nginx_of_stable_distributions() -> None:
    """`http2 on;` is of 1.25.1; Debian 12 has 1.22 and Ubuntu 24.04 has 1.24."""
    front = (BASE / "deploy" / "nginx.conf").read_text()
    assert re.findall(r"^ *(?:http2 .*|listen .*443.*)$", front, re.MULTILINE) == [
        "    listen 443 ssl http2;",
        "    listen [::]:443 ssl http2;",
    ]


@pytest.mark.parametrize(
    ("file", "limit"),
    [
        ("nginx.conf", r"location /admin/ \{\s+client_max_body_size (\d+)m;"),
        ("Caddyfile", r"@admin path /admin/\*\s+request_body @admin \{\s+max_size (\d+)MB"),
    ],
)
def test_front_lets_documents_of_disputes_in(file: str, limit: str) -> None:
    [megabytes] = re.findall(limit, (BASE / "deploy" / file).read_text())
    assert int(megabytes) * 1_000_000 > settings.DISPUTE_FILE_MAX_BYTES + 500_000  # the rest of the form


# ---------------------------------------------------------------- .env.example


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    """To mend this, add a line `#NAME=default` under a comment to .env.example, or take the old one away."""
    source = (BASE / "config" / "settings.py").read_text()
    reads = r"(?:env\.\w+|safety\.secret|_amounts|_word|_time_zone|environ(?:\.get)?)"
    read = set(re.findall(reads + r"""[(\[]\s*"([A-Z0-9_]+)""", source))
    read -= {"PYTEST_XDIST_WORKER"}
    written = set(re.findall(r"^#?([A-Z0-9_]+)=", (BASE / ".env.example").read_text(), re.MULTILINE))
    elsewhere = {"VAR_DIR"} | {found["name"] for found in VARIABLE.finditer((BASE / "docker-compose.yml").read_text())}
    assert sorted(read - written) == [], "settings that .env.example does not name"
    assert sorted(written - read - elsewhere) == [], "names in .env.example that nothing reads"


# ---------------------------------------------------------------- compose smoke


def address() -> dict[str, Any]:
    known = connection.get_connection_params()
    return {key: known[key] for key in ("host", "port", "user", "password") if known.get(key)}


@pytest.fixture
def database(django_db_setup) -> Iterator[str]:
    """A database of its own, as `migrate` would find it after an update that changes no table but the groups'."""
    name, template = f"compose_smoke_{os.getpid()}", connection.settings_dict["TEST"]["TEMPLATE"]
    with psycopg.connect(**address(), dbname="postgres", autocommit=True) as maintenance:
        named = sql.Identifier(name)
        maintenance.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(named, sql.Identifier(template)))
        with psycopg.connect(**address(), dbname=name, autocommit=True) as inside:
            inside.execute("DELETE FROM auth_group_permissions")
        yield name
        maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(named))


@pytest.fixture
def environment_of(compose, database: str, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The service's own environment; only where the servers are is changed."""

    def environment(name: str) -> dict[str, str]:
        said = {key: resolved(str(value)) for key, value in compose["services"][name]["environment"].items()}
        wanted, here = urlsplit(said["DATABASE_URL"]), connection.settings_dict
        at = f"/{here['HOST']}" if here["HOST"].startswith("/") else f"{here['HOST']}:{here['PORT'] or 5432}/"
        said["DATABASE_URL"] = f"postgres://{wanted.username}:{wanted.password}@{at.rstrip('/')}/{database}"
        said["REDIS_URL"] = settings.REDIS_URL
        said |= {"REDIS_PREFIX": settings.REDIS_PREFIX + "smoke:", "HEARTBEAT_SECONDS": "1", "WORKER_METRICS_PORT": "0"}
        said |= {"VAR_DIR": str(tmp_path), "STATIC_ROOT": str(tmp_path / "static"), "LOG_FORMAT": "json"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {"PATH": path, "HOME": os.environ.get("HOME", "/"), **said}

    return environment


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    pause = threading.Event()
    for _ in range(600):
        if is_so():
            return
        assert process.poll() is None, log.read_text()[-3000:]
        pause.wait(0.1)
    raise AssertionError(log.read_text()[-3000:])


def test_every_service_runs_its_own_command(compose, environment_of, database: str, tmp_path: Path) -> None:
    port, stream_port = free_port(), free_port()
    (tmp_path / "static").mkdir()
    run(["python", "manage.py", "collectstatic", "--noinput"], environment_of("migrate"))
    run(shlex.split(compose["services"]["migrate"]["command"]), environment_of("migrate"))
    assert groups_that_may_something(database) == ["auditor", "finance", "support"]
    ours = {"8000": str(port), "8001": str(stream_port)}
    started: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
    try:
        for name in ("web", "stream", "worker", "beat"):
            command = re.sub(r"\b800[01]\b", lambda found: ours[found[0]], compose["services"][name]["command"])
            log = tmp_path / f"{name}.log"
            with log.open("wb") as out:
                process = subprocess.Popen(
                    shlex.split(command),
                    cwd=BASE,
                    env=environment_of(name),
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            started[name] = process, log
        for name, here, there in (("web", port, "8000"), ("stream", stream_port, "8001")):
            probe = [word.replace(there, str(here)) for word in compose["services"][name]["healthcheck"]["test"][1:]]
            wait_until(partial(succeeds, probe, environment_of(name)), *started[name])
        wait_until(partial(is_well, port), *started["worker"])  # beat sent, a worker did, Redis knows
        for process, _ in started.values():
            process.send_signal(signal.SIGTERM)
        ended = {name: process.wait(60) for name, (process, _) in started.items()}
        # uvicorn, once all is closed, ends by the signal that it was sent.
        assert ended == {"web": 0, "stream": -signal.SIGTERM, "worker": 0, "beat": 0}
    finally:
        for process, _ in started.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def groups_that_may_something(database: str) -> list[str]:
    with psycopg.connect(**address(), dbname=database) as inside:
        found = inside.execute(
            "SELECT DISTINCT name FROM auth_group JOIN auth_group_permissions ON group_id = auth_group.id ORDER BY name"
        )
        return [name for (name,) in found]


SOME_BOOKS = """
from django.contrib.auth.models import User
from credits import grants, usage
from credits.models import GrantSource
ada = User.objects.create_user("ada")
grants.issue(user=ada, amount=100, source=GrantSource.MANUAL, key="given")
usage.spend(user=ada, key="used", amount=30)
"""


@pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR")  # of the wheel that the servers come from
def test_backup_is_restored_by_the_commands_of_the_handbook(
    compose, environment_of, database: str, tmp_path: Path
) -> None:
    handbook = (BASE / "docs" / "operations.md").read_text()
    [dumped] = re.findall(r"postgres (pg_dump .+) tirelire > tirelire\.dump", handbook)
    [_, restored] = re.findall(r"postgres (pg_restore .+) --dbname=\w+ < tirelire\.dump", handbook)
    migrate, environment = shlex.split(compose["services"]["migrate"]["command"]), environment_of("migrate")
    run(migrate, environment)
    run(["python", "manage.py", "shell", "-c", SOME_BOOKS], environment)
    kept = books_of(database)
    with (tmp_path / "tirelire.dump").open("wb") as file:
        subprocess.run([*here(dumped), database], stdout=file, check=True)
    with psycopg.connect(**address(), dbname="postgres", autocommit=True) as maintenance:
        maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        maintenance.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database)))
    with (tmp_path / "tirelire.dump").open("rb") as file:
        subprocess.run([*here(restored), f"--dbname={database}"], stdin=file, check=True)
    run(migrate, environment)
    run(["python", "manage.py", "check_ledger"], environment)
    assert books_of(database) == kept != []
    with psycopg.connect(**address(), dbname=database) as inside:
        may = inside.execute("SELECT has_table_privilege('tirelire_app', 'ledger_transfer', 'INSERT')").fetchone()
        assert may == (True,)


def books_of(database: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**address(), dbname=database) as inside:
        return inside.execute("SELECT * FROM ledger_transfer ORDER BY 1").fetchall()


def here(command: str) -> list[str]:
    """The command, for the server of the tests."""
    program, _user, *options = shlex.split(command)
    at = address()
    options += [f"--{name.replace('user', 'username')}={at[name]}" for name in ("host", "port", "user") if name in at]
    return [str(Path(pg_dump()).with_name(program)), *options]


def succeeds(command: list[str], environment: dict[str, str]) -> bool:
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=BASE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def is_well(port: int) -> bool:
    """While all processes start, an answer may come late or say that something is down."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/health", headers={"Host": "web"})
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return bool(json.load(reply)["status"] == "ok")
    except OSError:
        return False
