"""`manage.py embedded`: where the embedded servers are, so that psql or a second shell can join."""

import json
import os
import shlex
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

import embedded


class Command(BaseCommand):
    help = "Say where the embedded PostgreSQL and Valkey are (env, status), or open psql on them."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("act", choices=["env", "status", "psql"])
        parser.add_argument("arguments", nargs="*", help="given to psql")

    def handle(self, *args: Any, act: str, arguments: list[str], **options: Any) -> None:
        servers = embedded.running()
        if servers is None:
            raise CommandError("DATABASE_URL and REDIS_URL are set, so the embedded servers are not used.")
        psql_url = f"postgresql:///{settings.DATABASES['default']['NAME']}?" + urlencode(
            {"host": settings.DATABASES["default"]["HOST"], "user": settings.DATABASES["default"]["USER"]}
        )
        match act:
            case "env":
                self.stdout.write(f"export DATABASE_URL={shlex.quote(servers.database_url)}")
                self.stdout.write(f"export REDIS_URL={shlex.quote(servers.redis_url)}")
                self.stdout.write(f"export PSQL_URL={shlex.quote(psql_url)}")
                self.stderr.write("The servers stop when nobody uses them: keep `manage.py up` running.")
            case "status":
                self.stdout.write(json.dumps(asdict(servers), indent=2))
            case "psql":
                binary = embedded.postgres_binaries() / "psql"
                os.execv(binary, [str(binary), psql_url, *arguments])
