"""Stripe's requests held against the schema that its library carries; for tests, with the tools beside the project.

Where those tools are not, nothing is checked: the schema is no part of the project, and is made anew from each version
of the library.
"""

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
DONE = 200


def folder_of_tools() -> Path | None:
    """Beside the project, also when it is a worktree one folder deeper."""
    beside = [folder / "shared" / "tools" for folder in (ROOT.parent, ROOT.parent.parent)]
    return next((folder for folder in beside if (folder / "validate_stripe_calls.py").exists()), None)


@functools.cache
def tools() -> ModuleType | None:
    folder = folder_of_tools()
    if folder is None:
        return None
    spec = importlib.util.spec_from_file_location("validate_stripe_calls", folder / "validate_stripe_calls.py")
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@functools.cache
def validator() -> Any:
    """Built once for each version of the library, and kept; None without the tools."""
    module, folder = tools(), folder_of_tools()
    if module is None or folder is None:
        return None
    import stripe

    built = ROOT / "var" / f"stripe-schema-{stripe.VERSION}.json"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        fresh = built.with_suffix(f".{os.getpid()}")
        builder = [sys.executable, "-W", "ignore", str(folder / "build_spec_from_sdk.py"), str(fresh)]
        subprocess.run(builder, check=True, capture_output=True)
        fresh.rename(built)
    return module.SpecValidator(str(built))


def problems(requests: Iterable[dict[str, Any]]) -> list[str]:
    """What Stripe's schema does not know of those that our Stripe took. What it refused says so by itself."""
    taken = [each for each in requests if each.get("acted_with_status") == DONE and each["path"].startswith("/v1/")]
    schema = validator() if taken else None
    if schema is None:
        return []
    found: dict[str, None] = {}
    for each in taken:
        if each["headers"].get("content-type", "").startswith("multipart/"):
            continue  # a file: there is no form to read
        url = f"{each['path']}?{urlencode(each['query'])}" if each["query"] else each["path"]
        found.update(dict.fromkeys(schema.check(each["method"], url, each["body"])))
    return list(found)
