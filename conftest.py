"""What every test stands on: a database copied from a template, and Redis keys of its own."""

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import redis
from auditlog.context import disable_auditlog
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.utils import translation
from psycopg import sql

from billing.breaker import SteadyStore
from config import groups, translations
from config.cache import _Away
from config.tests import restoring
from credits import costs
from rest import throttles
from rest.memory import forget_everything

# The suite plays the same histories every time, so that a red run says something about the change before it; new ones
# are looked for on purpose: HYPOTHESIS_PROFILE=search python3 manage.py test credits/tests/test_histories.py
# The machine may be busy: how long an example takes says nothing.
BUSY = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("suite", BUSY, derandomize=True)
hypothesis.settings.register_profile("search", BUSY, derandomize=False)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

pytest_plugins = ["sandbox.testing"]

TEMPLATE_LOCK = 5_413_201
# They take longest, and a file stays with one worker: begun last, one of them would leave the other worker idle.
LONG_FILES = (
    "config/tests/test_up.py",
    "config/tests/test_bench.py",
    "config/tests/test_schema.py",
    "config/tests/test_deploy.py",
    "config/tests/test_charged_jobs.py",
    "credits/tests/test_histories.py",
    "config/tests/test_workers.py",
    "config/tests/test_migration_rules.py",
    "billing/tests/gateways/test_chaos.py",
    "config/tests/journeys/test_subscribe_at_stripe.py",
    "config/tests/journeys/test_sell_and_pay_out.py",
    "credits/tests/test_calendar.py",
)


def pytest_configure(config: pytest.Config) -> None:
    if missing := missing_paths(config.args, config.invocation_params.dir):
        raise pytest.UsageError(f"There is no {', no '.join(missing)} here.")
    translations.compile_stale()


def missing_paths(arguments: list[str], folder: Path) -> list[str]:
    """Of the places to look for tests those that are not there. The workers of xdist would each end with a trace that
    does not name them."""
    places = [argument.partition("::")[0].partition("[")[0] for argument in arguments]
    return [place for place in places if not (folder / place).exists()]


@pytest.hookimpl(trylast=True)  # behind pytest-randomly, which shuffles the files
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {settings.BASE_DIR / name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    for item in items:
        if item.name not in item.nodeid:
            # With pytest 9.2 schemathesis's tests of all operations have one id, and xdist runs one test of each id.
            item._id = dataclasses.replace(item.id, params=item.name.partition("[")[2].removesuffix("]"))
    if twice := [nodeid for nodeid, count in Counter(item.nodeid for item in items).items() if count > 1]:
        raise pytest.UsageError(f"Of tests with one id only one would run: {', '.join(twice[:3])}.")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix, django_db_blocker) -> None:
    """Migrate once into a template database; the database of every worker is a file copy of it."""
    name = f"tmpl_{_fingerprint_of_migrations()}"
    known = ("user", "password", "host", "port")
    address = {key: value for key, value in connection.get_connection_params().items() if key in known}
    with psycopg.connect(**address, dbname="postgres", autocommit=True) as maintenance:
        maintenance.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])  # one worker builds, the others wait
        found = maintenance.execute("SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", [name]).fetchone()
        if not found:
            _drop_templates(maintenance)
            maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            _migrate(name, django_db_blocker)
            maintenance.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(name)))
    for each in connections.all():
        each.settings_dict["TEST"]["TEMPLATE"] = name


def _fingerprint_of_migrations() -> str:
    digest = hashlib.sha256(Path(groups.__file__).read_bytes() + Path(__file__).read_bytes())
    for folder in [Path(app.path) / "migrations" for app in apps.get_app_configs()]:
        # The .sql files beside the code are installed by migrations, so they belong to them.
        for file in sorted([*folder.glob("*.py"), *folder.parent.glob("sql/*.sql")]):
            digest.update(f"{folder.parent.name}/{file.name}".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _drop_templates(maintenance: psycopg.Connection) -> None:
    rows = maintenance.execute("SELECT datname FROM pg_database WHERE datname LIKE 'tmpl\\_%'").fetchall()
    for (old,) in rows:
        maintenance.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(old)))
        maintenance.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(old)))


def _migrate(name: str, django_db_blocker) -> None:
    database = connections["default"]
    usual = database.settings_dict["NAME"]
    database.settings_dict["NAME"] = name
    try:
        with django_db_blocker.unblock(), disable_auditlog():  # or every test's log would begin with the groups'
            call_command("migrate", verbosity=0, interactive=False)
    finally:
        with django_db_blocker.unblock():
            database.close()
        database.settings_dict["NAME"] = usual


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    with django_db_blocker.unblock():
        # Without a test that asks for the database pytest-django makes none, and there is nothing to restore.
        if restoring.Restorer.is_allowed() and connection.introspection.table_names():
            restoring.Restorer().install(connection)


@pytest.fixture(scope="session")
def sweeper() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def patient() -> None:
    """A busy machine is not Redis or the database away: tests that are about that make it refuse, or set a time of
    their own."""
    settings.BROKER_TIMEOUT_SECONDS = settings.HEALTH_TIMEOUT_SECONDS = 30.0
    connections.settings["default"]["OPTIONS"]["connect_timeout"] = 60  # fifty rivals log in at once
    settings.GATEWAY_BREAKER_REDIS_TIMEOUT_SECONDS = settings.THROTTLE_REDIS_TIMEOUT_SECONDS = 30.0
    options: Any = settings.CACHES["default"]["OPTIONS"]
    options |= {"socket_connect_timeout": 30.0, "socket_timeout": 30.0}


@pytest.fixture(autouse=True)
def redis_is_back() -> None:
    """What the process remembers of a Redis that was away in the test before."""
    _Away._until.clear()
    SteadyStore.away_until = 0.0


@pytest.fixture(autouse=True)
def own_redis_keys(sweeper: redis.Redis) -> Iterator[None]:
    """Each test starts in English and without keys of ours; each worker of pytest-xdist has its own prefix.

    Which queue takes what is kept: Celery writes it down once in the life of a process.
    """
    translation.activate(settings.LANGUAGE_CODE)
    yield
    keys = [key for key in sweeper.keys(settings.REDIS_PREFIX + "*") if b"_kombu.binding." not in key]
    if keys:
        sweeper.delete(*keys)


@pytest.fixture(autouse=True)
def forgotten_callers() -> None:
    """What the process remembers of callers would outlive the rows that a test rolls back."""
    forget_everything()
    throttles.meter.forget()


@pytest.fixture(autouse=True)
def forgotten_costs() -> None:
    """The process keeps the cost table for a few seconds; what one test wrote must not be seen by the next."""
    costs.forget()


@pytest.fixture
def root(db: None, client: Client) -> User:
    """Who may do everything, signed in at `client`."""
    user = User.objects.create_superuser("root", "root@shop.example")
    client.force_login(user)
    return user


@pytest.fixture
def as_root(root: User, client: Client) -> Client:
    return client
