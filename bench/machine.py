"""What the machine was, so that a figure of one can be told from a figure of another."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import django
from django.db import connection

BUSY_LOAD = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    cores: int
    processor: str
    system: str
    python: str
    django: str
    postgres: str
    postgres_settings: dict[str, str]
    load_before: float

    @property
    def is_busy(self) -> bool:
        return self.load_before > BUSY_LOAD

    def lines(self) -> list[str]:
        known = ", ".join(f"{name} {value}" for name, value in self.postgres_settings.items())
        lines = [
            f"{self.cores} cores, {self.processor}, {self.system}",
            f"Python {self.python}, Django {self.django}, PostgreSQL {self.postgres} ({known})",
            f"load average {self.load_before:.1f} before the run",
        ]
        if self.is_busy:
            lines.append("WARNING: others work on this machine too; absolute figures are too low, trust ratios only.")
        return lines


def describe() -> Machine:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting || coalesce(unit, '') FROM pg_settings"
            " WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers',"
            " 'max_wal_size')"
        )
        known = dict(cursor.fetchall())
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        django=django.get_version(),
        postgres=known.pop("server_version"),
        postgres_settings=known,
        load_before=os.getloadavg()[0],
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
