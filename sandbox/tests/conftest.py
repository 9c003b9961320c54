"""A shop to write to: a small server of this process that keeps every notification it gets."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sandbox.testing import PATIENCE_SECONDS, Sandbox
from sandbox.tests.clients import PayPal


@dataclass(frozen=True, kw_only=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Shop:
    """Answers every notification with `status` as soon as it may, and keeps it."""

    url: str
    status: int = 200
    may_answer: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)

    def posted(self, sandbox: Sandbox, gateway: str) -> list[Received]:
        """What came, once nothing is on its way any more; without pings."""
        sandbox.letters(gateway)
        return [each for each in self.received if each.method != "GET"]


@pytest.fixture(scope="session")
def shop_server() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def keep(self) -> None:
            shop: Shop = server.shop  # type: ignore[attr-defined]
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            shop.received.append(Received(method=self.command, path=self.path, headers=headers, body=body))
            shop.may_answer.wait(PATIENCE_SECONDS)
            self.send_response(shop.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = keep  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(shop_server: ThreadingHTTPServer) -> Shop:
    shop = Shop(url=f"http://127.0.0.1:{shop_server.server_port}")
    shop.may_answer.set()
    shop_server.shop = shop  # type: ignore[attr-defined]
    return shop


@pytest.fixture
def paypal(sandbox: Sandbox) -> PayPal:
    return PayPal(sandbox)
