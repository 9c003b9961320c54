"""`manage.py create_roles`: the SQL of the two database roles of production."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from psycopg import sql

from config import roles
from config.safety import WithFiles


class Command(BaseCommand):
    help = "Print the SQL for the owner's and the application's database role; run it again after every migration."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", default="tirelire_owner", help="owns the tables and runs migrations")
        parser.add_argument("--app", default="tirelire_app", help="what web, worker and beat run as")
        parser.add_argument("--apply", action="store_true", help="run it here instead, as a role that may make roles")
        parser.add_argument(
            "--password-from", metavar="NAME", help="with --apply: set the application's password to this variable's"
        )

    def handle(self, *args: Any, owner: str, app: str, **options: Any) -> None:
        if owner == app:
            raise CommandError("The owner and the application must be two roles.")
        if options["password_from"] and not options["apply"]:
            raise CommandError("--password-from needs --apply: a password is never printed.")
        made = roles.statements(database=str(connection.settings_dict["NAME"]), owner=owner, app=app)
        if options["apply"]:
            self.run(made, app=app, variable=options["password_from"])
            self.stdout.write(f"{owner} owns the tables; {app} may use them.")
            return
        self.stdout.write("-- Run this as a role that may make roles, for example: psql -1 -v ON_ERROR_STOP=1")
        self.stdout.write("-- Then give each role its password: \\password " + app)
        self.stdout.write("\n".join(made))

    def run(self, made: list[str], *, app: str, variable: str | None) -> None:
        environment = WithFiles(os.environ)
        if variable is not None and not environment.get(variable):
            raise CommandError(f"{variable} is not set.")
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in made:
                cursor.execute(statement)
            if variable is not None:
                password = sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(app), sql.Literal(environment[variable])
                )
                cursor.execute(password.as_string())
