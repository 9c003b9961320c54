"""Databases of the benchmarks' own, on whatever server the settings name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import psycopg
from django.core.management import call_command
from django.db import connection
from psycopg import sql


def create(name: str, template: str | None = None) -> None:
    """From the migrations, or as a copy of a database that has them."""
    drop(name)
    with _maintenance() as server:
        words = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template:
            words += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        server.execute(words)
    if template is None:
        with using(name):
            call_command("migrate", verbosity=0, interactive=False)


def drop(name: str) -> None:
    with _maintenance() as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def using(name: str) -> Iterator[None]:
    """Django's connections of this process go to that database; nobody else may use them meanwhile."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


def url(name: str) -> str:
    """As DATABASE_URL says it, for a server process."""
    at = _address()
    host, port = quote(str(at.get("host", "")), safe="/"), f":{at['port']}" if at.get("port") else ""
    login = quote(str(at.get("user", "")), safe="")
    if at.get("password"):
        login += f":{quote(str(at['password']), safe='')}"
    return (
        f"postgres://{login}@{port}/{host}/{name}"
        if host.startswith("/")
        else f"postgres://{login}@{host}{port}/{name}"
    )


def environment(name: str) -> dict[str, str]:
    """For the tools of PostgreSQL itself, such as pgbench."""
    at = _address()
    words = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    return {**os.environ, "PGDATABASE": name} | {word: str(at[key]) for word, key in words.items() if at.get(key)}


def _maintenance() -> psycopg.Connection:
    return psycopg.connect(**_address(), dbname="postgres", autocommit=True)


def _address() -> dict[str, Any]:
    wanted = ("user", "password", "host", "port")
    return {key: value for key, value in connection.get_connection_params().items() if key in wanted}
