"""Dangerous migrations of our own apps are found before they lock a table that people are paying through."""

import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings

from config import batching

EXCUSE = re.compile(r"#\s*squawk-ignore:\s*(?P<rule>[a-z-]+)\s+-\s+(?P<reason>\S.*)")


def check(labels: Iterable[str] | None = None) -> list[str]:
    """One line for each danger, empty when there is none; our own apps unless others are named."""
    wanted = set(labels) if labels is not None else {app.label for app in own_apps()}
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for migration, text in batching.sql_of(lambda migration: migration.app_label in wanted):
            source = Path(str(sys.modules[migration.__module__].__file__))
            path = Path(folder, f"{migration.app_label}.{migration.name}.sql")
            path.write_text(text)
            found += dangers(path, excused=excuses(source.read_text()))
    return found


def own_apps() -> Iterator[AppConfig]:
    """Apps whose code is in this repository; the migrations of others are theirs to judge."""
    for app in apps.get_app_configs():
        path = Path(app.path).resolve()
        if path.is_relative_to(settings.BASE_DIR) and "site-packages" not in path.parts:
            yield app


def excuses(source: str) -> list[str]:
    """An excuse without a reason is none."""
    return [found["rule"] for found in EXCUSE.finditer(source)]


def dangers(path: Path, *, excused: Iterable[str] = ()) -> list[str]:
    squawk = Path(sysconfig.get_path("scripts")) / "squawk"
    config = settings.BASE_DIR / ".squawk.toml"
    command = [str(squawk), "--config", str(config), "--reporter", "json", str(path)]
    if rules := list(excused):  # the option replaces the file's list instead of adding to it
        rules += tomllib.loads(config.read_text())["excluded_rules"]
        command += ["--exclude", ",".join(rules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"squawk failed on {path.name}: {done.stderr}")
    return [_sentence(path.stem, danger) for danger in json.loads(done.stdout or "[]")]


def _sentence(name: str, danger: dict[str, Any]) -> str:
    advice = f" {danger['help']}" if danger.get("help") else ""
    return f"{name}: {danger['rule_name']}: {danger['message']}{advice}"
