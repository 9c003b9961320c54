"""`manage.py lint`: every check that is not a test, one line each; non-zero when one fails."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "APP_ENV": "production",
    "DEBUG": "false",
    "SECRET_KEY": "lint-" + "k" * 60,
    "JWT_SECRET": "lint-" + "j" * 60,
    "METRICS_TOKEN": "lint-" + "m" * 60,
    "ALLOWED_HOSTS": "pay.example.com",
    "BASE_URL": "https://pay.example.com",
    "EMAIL_HOST": "mail.example.com",
    "OPERATOR_EMAILS": "operators@example.com",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One check: a command, and what it is run with."""

    name: str
    command: list[str]
    environment: dict[str, str]


def run(arguments: list[str]) -> int:
    os.environ["APP_ENV"] = "test"
    import embedded

    servers = embedded.ensure("test")
    here = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url}
    steps = [step for step in _steps(here) if not arguments or step.name in arguments]
    if not steps:
        names = ", ".join(step.name for step in _steps(here))
        return _fail(f"No such check: {' '.join(arguments)}. There are: {names}.")
    failed = [step.name for step in steps if not _passes(step)]
    _say(f"{len(steps) - len(failed)} passed, {len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
    return 1 if failed else 0


def _steps(here: dict[str, str]) -> list[Step]:
    def manage(*words: str) -> list[str]:
        return [sys.executable, "manage.py", *words]

    def tool(name: str, *words: str) -> list[str]:
        return [str(Path(sys.executable).parent / name), *words]

    deploy = here | PRODUCTION
    return [
        Step(name="format", command=tool("ruff", "format", "--check", "."), environment=here),
        Step(name="ruff", command=tool("ruff", "check", "."), environment=here),
        Step(name="types", command=tool("mypy", "."), environment=here),
        Step(name="imports", command=tool("lint-imports"), environment=here),
        Step(name="migrations", command=manage("makemigrations", "--check", "--dry-run"), environment=here),
        Step(name="dangerous-migrations", command=manage("check_migrations"), environment=here),
        Step(name="modules", command=manage("list_modules", "--check"), environment=here),
        Step(name="licences", command=manage("list_licences", "--check"), environment=here),
        Step(name="deploy", command=manage("check", "--deploy", "--fail-level", "WARNING"), environment=deploy),
        Step(name="schema", command=manage("spectacular", "--validate", "--fail-on-warn"), environment=here),
    ]


def _passes(step: Step) -> bool:
    started_at = time.monotonic()
    done = subprocess.run(
        step.command,
        cwd=BASE_DIR,
        env={**os.environ, **step.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - started_at
    _say(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {step.name} ({took:.0f} s)")
    if done.returncode != 0:
        _say((done.stdout + done.stderr).strip())
    return done.returncode == 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 2
