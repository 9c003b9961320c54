"""`.env.example` says of itself that what stands behind a # is the default: uncommented, it changes nothing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from django.conf import settings

BASE = Path(settings.BASE_DIR)
EXAMPLE = (BASE / ".env.example").read_text()
SHOWN = dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE, re.MULTILINE))
# Some addresses are made of BASE_URL, and are shown as made of the one that stands in the file.
NEEDED = {
    "APP_ENV": "production",
    "SECRET_KEY": "long-and-random-0123456789" * 2,
    "JWT_SECRET": "another-and-random-0123456789" * 2,
    **dict(re.findall(r"^(ALLOWED_HOSTS|BASE_URL|DATABASE_URL|REDIS_URL)=(.*)$", EXAMPLE, re.MULTILINE)),
}
TELL = """
import json
from pathlib import Path
from config import settings
def plain(value):
    if isinstance(value, (set, frozenset)):
        return str(sorted(value))
    return str(value.resolve() if isinstance(value, Path) else value)
told = {name: value for name, value in vars(settings).items() if name.isupper() and name != "LOGGING"}
print(json.dumps({name: plain(value) for name, value in told.items()}))
"""
# Of the image or of compose, and not read by the settings.
NOT_SETTINGS = {"STREAM_PORT", "TIRELIRE_VERSION"}


def production_with(added: dict[str, str]) -> dict[str, str]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    told = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=BASE,
        env=environment | NEEDED | added,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def test_what_stands_behind_a_hash_is_the_default() -> None:
    """To mend this, write the default of config/settings.py; an example belongs into the comment above it."""
    shown = {name: value for name, value in SHOWN.items() if name not in NOT_SETTINGS}
    assert len(shown) > 250
    plain, uncommented = production_with({}), production_with(shown)
    differing = {name: (plain[name], uncommented[name]) for name in plain if plain[name] != uncommented[name]}
    assert differing == {}


READS = """
import os, sys, environ
environ.Env.read_env = lambda path: os.environ.setdefault("VAR_DIR", sys.argv[1])
import embedded
from config import settings
print(settings.VAR_DIR, embedded.var_dir(), settings.STATIC_ROOT, sep="\\n")
"""


def test_folder_that_the_file_names_is_that_of_settings_and_of_the_embedded_servers(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    told = subprocess.run(
        [sys.executable, "-c", READS, str(tmp_path)],
        cwd=BASE,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert told[:3] == [str(tmp_path), str(tmp_path), str(tmp_path / "static")]
