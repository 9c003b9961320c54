import os
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from config import checks, demo, safety
from rest import tokens

COMPLETE = {
    "SECRET_KEY": "k" * 50,
    "JWT_SECRET": "j" * 50,
    "DATABASE_URL": "postgres://tirelire_app:s@db/tirelire",
    "REDIS_URL": "redis://:s@redis:6379/0",
    "ALLOWED_HOSTS": ["pay.example.com"],
    "BASE_URL": "https://pay.example.com",
    "DEBUG": False,
    "STRIPE_LIVE_MODE": True,
    "STRIPE_SECRET_KEY": "sk_live_x",
}


def problems(**changes) -> list[str]:
    return list(safety.unsafe({**COMPLETE, **changes}))


def test_complete_settings_are_safe() -> None:
    assert problems() == []
    assert problems(ALLOWED_HOSTS=[".example.com"]) == []
    assert problems(JWT_SECRET="", JWT_JWKS_URL="https://auth.example.com/jwks") == []
    safety.refuse_unsafe(COMPLETE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
        ({"REDIS_URL": ""}, "REDIS_URL is missing"),
        ({"JWT_SECRET": ""}, "whose tokens count"),
        ({"DEBUG": True}, "DEBUG is on"),
        ({"ALLOWED_HOSTS": ["*", "pay.example.com"]}, "ALLOWED_HOSTS holds a *"),
        ({"BASE_URL": "http://pay.example.com"}, "not an https address"),
        ({"BASE_URL": ""}, "not an https address"),
        ({"BASE_URL": "https://other.example.com"}, "not among ALLOWED_HOSTS"),
        ({"SECRET_KEY": safety.DEMO_PREFIX + "x" * 40}, "SECRET_KEY is a demo secret"),
        ({"JWT_SECRET": safety.TEST_SECRET}, "JWT_SECRET is a demo secret"),
        ({"SECRET_KEY": "k" * 31}, "SECRET_KEY has less than 32"),
        ({"METRICS_TOKEN": "short"}, "METRICS_TOKEN has less than 32"),
        ({"INTERNAL_PREVIOUS_API_KEY": "short"}, "INTERNAL_PREVIOUS_API_KEY has less than 32"),
        ({"JWT_SECRET": "k" * 50}, "Two secrets are the same"),
        ({"DATABASE_URL": "postgres://a:demo-x@db/x"}, "DATABASE_URL holds a demo secret"),
        ({"TRUST_PROXY_HEADERS": True}, "INTERNAL_API_KEY is missing"),
        ({"METRICS_ALLOWED_IPS": ["0.0.0.0/0"]}, "lets everybody in"),
        ({"MTN_MOMO_API_BASE": "http://127.0.0.1:8010/mtn_momo"}, "MTN_MOMO_API_BASE is not an https address"),
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, "on with a test key"),
        ({"STRIPE_LIVE_MODE": False}, "off with a live key"),
    ],
)
def test_one_thing_wrong_is_one_refusal(changes: dict[str, object], said: str) -> None:
    [problem] = problems(**changes)
    assert said in problem


def test_refusal_says_everything_at_once_and_no_secret() -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        safety.refuse_unsafe({"DEBUG": True, "JWT_SECRET": "hunter2", "ALLOWED_HOSTS": ["*"]})
    said = str(refused.value)
    for each in (
        "SECRET_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "DEBUG",
        "ALLOWED_HOSTS",
        "BASE_URL",
        "JWT_SECRET has less",
    ):
        assert each in said
    assert "hunter2" not in said


# ---------------------------------------------------------------- whole processes, as they would be started

ENVIRONMENT = {
    "APP_ENV": "production",
    "SECRET_KEY": "long-and-random-0123456789" * 2,
    "JWT_SECRET": "j" * 50,
    "ALLOWED_HOSTS": "pay.example.com",
    "BASE_URL": "https://pay.example.com",
    "EMAIL_HOST": "mail.example.com",
    "OPERATOR_EMAILS": "operators@example.com",
}


def manage(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "VAR_DIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=settings.BASE_DIR,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_passes_every_check() -> None:
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **ENVIRONMENT, **servers)
    assert done.returncode == 0, done.stderr


def test_production_refuses_to_start_with_nothing_set() -> None:
    done = manage("check", APP_ENV="production")
    assert done.returncode != 0
    for each in ("SECRET_KEY is missing", "DATABASE_URL is missing", "REDIS_URL is missing", "BASE_URL", "JWT_SECRET"):
        assert each in done.stderr


def test_production_refuses_debug() -> None:
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    done = manage("check", **ENVIRONMENT, **servers, DEBUG="true")
    assert done.returncode != 0
    assert "DEBUG is on" in done.stderr


def test_value_may_stand_in_a_file(tmp_path: Path) -> None:
    """As orchestrators hand secrets out; the database's address is read before anything is connected to."""
    secret = tmp_path / "key"
    secret.write_text("k" * 50 + "\n")
    found = safety.WithFiles({"A": f"file:{secret}", "B": "plain", "C": "file:/nowhere/c"})
    assert (found["A"], found.get("B"), found.get("D"), "C" in found, len(found)) == ("k" * 50, "plain", None, True, 3)
    with pytest.raises(ImproperlyConfigured, match=r"C is to be read from file:/nowhere/c: .*No such file"):
        found["C"]


def test_production_reads_its_secrets_from_files(tmp_path: Path) -> None:
    known = ENVIRONMENT | {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    for name in ("SECRET_KEY", "DATABASE_URL"):
        (tmp_path / name).write_text(f"{known[name]}\n")
        known[name] = f"file:{tmp_path / name}"
    told = manage("check", **known)
    assert told.returncode == 0, told.stderr
    (tmp_path / "SECRET_KEY").write_text("short")
    assert "SECRET_KEY has less than 32" in manage("check", **known).stderr
    (tmp_path / "SECRET_KEY").unlink()
    assert "SECRET_KEY is to be read from file:" in manage("check", **known).stderr


def test_slash_at_the_end_of_our_address_is_not_doubled_in_any_link() -> None:
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    asked = (
        "from django.conf import settings; from billing import webhook_address;"
        "print(settings.CHECKOUT_SUCCESS_URL, webhook_address.of('paypal'), webhook_address.of('mtn_momo', 'T1'))"
    )
    done = manage("shell", "-c", asked, **ENVIRONMENT | {"BASE_URL": "https://pay.example.com/"}, **servers)
    own = "https://pay.example.com"
    assert done.stdout.split()[-3:] == [f"{own}/", f"{own}/webhooks/paypal", f"{own}/webhooks/mtn_momo/T1"]


def test_unknown_environment_is_refused() -> None:
    done = manage("check", **ENVIRONMENT | {"APP_ENV": "prod"}, DATABASE_URL="postgres://x@x/x", REDIS_URL="redis://x")
    assert done.returncode != 0
    assert "'prod'" in done.stderr


def test_production_that_only_the_file_tells_of_is_production(tmp_path: Path) -> None:
    """Without containers somebody copies .env.example to .env, and that is all."""
    for folder in ("config", "embedded", "ledger", "rest"):
        ignored = shutil.ignore_patterns("tests", "__pycache__")
        shutil.copytree(Path(settings.BASE_DIR) / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(Path(settings.BASE_DIR) / "pyproject.toml", tmp_path)
    said = ENVIRONMENT | {"DATABASE_URL": "postgres://a:b@127.0.0.1/x", "REDIS_URL": "redis://127.0.0.1/0"}
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in said.items()))
    asked = "from config import settings as s; print(s.APP_ENV, s.PRODUCTION, s.DEBUG)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "production True False\n", done.stderr


# ---------------------------------------------------------------- what may be, and should not


@pytest.fixture
def production(settings):
    settings.PRODUCTION = True


@pytest.mark.parametrize(("missing", "id_of_warning"), [("EMAIL_HOST", "W002"), ("OPERATOR_EMAILS", "W003")])
def test_letters_that_reach_nobody_are_warned_of(missing: str, id_of_warning: str) -> None:
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **ENVIRONMENT | {missing: ""}, **servers)
    assert done.returncode != 0
    assert re.findall(r"tirelire\.(\w+)", done.stderr) == [id_of_warning]


def test_letters_of_a_laptop_are_nobodys_business(settings) -> None:
    settings.EMAIL_HOST, settings.OPERATOR_EMAILS = "", []
    assert list(checks.letters_reach_somebody()) == []


# ---------------------------------------------------------------- what only the database knows


def test_demo_people_are_found_in_production(db, production) -> None:
    operator = User.objects.create(username=demo.OPERATOR)
    token, _ = tokens.issue(name=demo.SERVICE, permissions=[], expires_at=None, by=None)
    with pytest.raises(SystemCheckError, match="demo-admin, Demo service"):
        call_command("check", "--deploy", "--database", "default", "--tag", "database", stderr=StringIO())
    User.objects.filter(pk=operator.pk).update(is_active=False)
    tokens.revoke(token=token, by=None)
    assert list(checks.no_demo_people(databases=["default"])) == []


def test_customer_whose_id_begins_like_a_demo_is_nobodys_business(db, production) -> None:
    User.objects.create(username="demo-lover")
    assert list(checks.no_demo_people(databases=["default"])) == []


def test_demo_people_are_welcome_on_a_laptop(db) -> None:
    User.objects.create(username=demo.OPERATOR)
    assert list(checks.no_demo_people(databases=["default"])) == []


def test_role_that_owns_the_tables_is_warned_of(db, production) -> None:
    [warning] = checks.role_owns_nothing(databases=["default"])
    assert warning.id == "tirelire.W001"
