"""What keeps a laptop's convenience out of production: demo secrets, and the refusal to start with them."""

import json
import os
import secrets
from pathlib import Path

DEMO_PREFIX = "demo-"
TEST_SECRET = DEMO_PREFIX + "secret-of-the-tests-0123456789abcdef"


def secret(name: str, *, production: bool, var_dir: Path) -> str:
    """The secret from the environment; outside production one is made up and kept in var/secrets.json."""
    if value := os.environ.get(name):
        return value
    if production:
        return ""  # refused below, together with everything else that is missing
    if os.environ.get("APP_ENV") == "test":
        return TEST_SECRET
    return _made_up(name, var_dir / "secrets.json")


def _made_up(name: str, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = DEMO_PREFIX + secrets.token_urlsafe(40)
        new = path.with_suffix(".new")
        new.touch(0o600)
        new.write_text(json.dumps(known, indent=2))
        new.rename(path)
    return known[name]
