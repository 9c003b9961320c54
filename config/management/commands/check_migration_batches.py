"""`manage.py check_migration_batches`: migrations in batches end where Django's own way through them ends."""

import contextlib
import difflib
import os
import shutil
import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import psycopg
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.core.management.commands.migrate import Command as DjangosMigrate
from django.db import connection
from psycopg import sql

import embedded

SHOWN_LINES = 60


class Command(BaseCommand):
    help = "Migrate two throwaway databases, Django's way and in batches, and compare their schemas."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--keep", action="store_true", help="leave the two databases behind")

    def handle(self, *args: Any, keep: bool, **options: Any) -> None:
        usual = self.schema("one_by_one", DjangosMigrate(), keep=keep)
        ours = self.schema("in_batches", "migrate", keep=keep)
        if not usual:
            raise CommandError("pg_dump wrote nothing, so nothing was compared.")
        if usual != ours:
            lines = list(difflib.unified_diff(usual, ours, "one by one", "in batches", lineterm="", n=1))
            raise CommandError("\n".join(["The schemas differ:", *lines[:SHOWN_LINES]]))
        self.stdout.write(f"The same schema both ways ({len(ours)} lines).")

    def schema(self, name: str, command: str | BaseCommand, *, keep: bool) -> list[str]:
        started_at = time.monotonic()
        with throwaway_database(f"migrated_{name}_{os.getpid()}", keep=keep):
            call_command(command, verbosity=0, interactive=False)
            lines = dump()
        self.stdout.write(f"{name}: migrated in {time.monotonic() - started_at:.0f} s, {len(lines)} lines")
        return lines


@contextlib.contextmanager
def throwaway_database(name: str, *, keep: bool) -> Iterator[None]:
    """Django's connection goes to a database made for this, and back."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    address = {key: value for key, value in address_of_server().items() if key != "dbname"}
    with psycopg.connect(**address, dbname=usual, autocommit=True) as maintenance:
        # From template0: whatever somebody put into template1 is not part of the comparison.
        maintenance.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        connection.settings_dict["NAME"] = name
        try:
            yield
        finally:
            connection.close()
            connection.settings_dict["NAME"] = usual
            if not keep:
                maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def address_of_server() -> dict[str, Any]:
    known = connection.get_connection_params()
    return {name: known[name] for name in ("host", "port", "user", "password", "dbname") if known.get(name)}


def dump() -> list[str]:
    address = {key: str(value) for key, value in address_of_server().items()}
    password = address.pop("password", None)
    command = [pg_dump(), "--schema-only", "--no-owner", "--no-privileges"]
    command += [f"--{key.replace('user', 'username')}={value}" for key, value in address.items()]
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"pg_dump failed: {done.stderr.strip()}")
    # The \\restrict lines hold a random word that is different in every dump.
    return [line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def pg_dump() -> str:
    """The wheel's first: a pg_dump that is older than the server refuses, and the machine's is often older."""
    try:
        found: str | None = str(embedded.postgres_binaries() / "pg_dump")
    except ImportError:
        found = shutil.which("pg_dump")
    if found is None:
        raise CommandError("There is no pg_dump here. Install PostgreSQL's client programs.")
    return found
