"""`manage.py reconcile`: our books of a day against each gateway's own list."""

from argparse import ArgumentParser
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import reconcile, statements
from billing.errors import StatementUnreadable
from billing.gateways import registry
from billing.gateways.base import Movement
from billing.gateways.errors import GatewayError


class Command(BaseCommand):
    help = "Compare our books of a day (UTC) with what the gateways list. Fails if anything does not fit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--day", type=date.fromisoformat, metavar="YYYY-MM-DD", help="yesterday, if not said")
        parser.add_argument("--gateway", action="append", choices=registry.NAMES, help="only this one; may be repeated")
        parser.add_argument(
            "--statement", type=Path, metavar="FILE", help="a CSV of one gateway, in place of asking it"
        )

    def handle(
        self, *args: Any, day: date | None, gateway: list[str] | None, statement: Path | None, **options: Any
    ) -> None:
        wanted = gateway or list(registry.configured())
        if statement and len(wanted) != 1:
            raise CommandError("A statement is of one gateway: say --gateway NAME.")
        movements = _read(statement) if statement else None
        chosen = day or (datetime.now(UTC) - timedelta(days=1)).date()
        wrong = [name for name in wanted if not self.one(name, chosen, movements)]
        if wrong:
            raise CommandError(
                f"Exceptions at {', '.join(wrong)}. They stand in the admin until somebody resolves them."
            )

    def one(self, name: str, day: date, movements: list[Movement] | None) -> bool:
        try:
            report = reconcile.compare(name, day, statement=movements)
        except GatewayError as error:
            self.stdout.write(f"{name} {day}: gave no list ({error})")
            return False
        for line in report.exceptions:
            self.stdout.write(f"{name} {day}: {line.outcome}: {line}")
        for booked in report.unanswered:
            self.stdout.write(f"{name} {day}: not answered: {booked.kind} {booked.reference}")
        self.stdout.write(
            f"{name} {day}: {report.matched} matched, {len(report.exceptions)} exceptions, "
            f"{len(report.unanswered)} not answered, by {report.source}"
        )
        return not (report.exceptions or report.unanswered)


def _read(path: Path) -> list[Movement]:
    try:
        return statements.read(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, StatementUnreadable) as error:
        raise CommandError(f"{path.name}: {error}") from error
