"""The fixture `sandbox`: the box in a process of its own on a free port, emptied before each test."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import paypal_schema, stripe_schema

BASE_DIR = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20


class Refused(Exception):
    """The control said no; the text is its reason."""


class Sandbox:
    """A running sandbox, spoken to over HTTP as everybody does."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def base(self, gateway: str) -> str:
        """What stands in place of the gateway's own address."""
        return f"{self.url}/{gateway}"

    def play(self, next_action: dict[str, Any], act: str = "pay") -> dict[str, Any]:
        return self.control("POST", "/_play", {"next_action": next_action, "act": act})

    def turn(self, gateway: str, **dials: Any) -> dict[str, Any]:
        return self.control("PUT", f"/_dials/{gateway}", dials)

    def configure(self, gateway: str, **settings: str) -> dict[str, Any]:
        return self.control("PUT", f"/_settings/{gateway}", settings)

    def books(self, gateway: str) -> dict[str, Any]:
        return self.control("GET", f"/_books/{gateway}")

    def advance(self, seconds: float) -> None:
        self.control("POST", "/_clock", {"advance_seconds": seconds})

    def requests(self, gateway: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", f"/_requests?gateway={gateway}")["requests"]
        return found

    def letters(self, gateway: str = "") -> list[dict[str, Any]]:
        """The notifications of that gateway, once none is on its way any more."""
        known = self.control("GET", f"/_letters?gateway={gateway}&wait_seconds={PATIENCE_SECONDS}")
        if known["waiting"]:
            raise TimeoutError("Notifications are still on their way.")
        sent: list[dict[str, Any]] = known["letters"]
        return sent

    def reset(self) -> None:
        self.control("POST", "/_reset", {})

    def control(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)  # noqa: S310
        try:
            with urllib.request.urlopen(asked, timeout=2 * PATIENCE_SECONDS) as reply:  # noqa: S310 - our own process
                answered: dict[str, Any] = json.load(reply)
        except urllib.error.HTTPError as error:
            raise Refused(error.read().decode()) from error
        return answered


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[Sandbox]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--stop-with-stdin"]
    with subprocess.Popen(command, cwd=BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Sandbox(process.stdout.readline().split()[-1])
        finally:
            process.stdin.close()  # it ends with its standard input, also when this process is killed
            process.wait(PATIENCE_SECONDS)


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Iterator[Sandbox]:
    """Whatever a test sends to our Stripe and our PayPal, the real ones' schemas have to know."""
    sandbox_process.reset()
    yield sandbox_process
    assert stripe_schema.problems(sandbox_process.requests("stripe")) == []
    assert paypal_schema.problems(sandbox_process.requests("paypal")) == []
