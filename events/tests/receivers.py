"""Other people's servers for tests: real HTTP, verified with the Standard Webhooks library."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

Reply = Callable[["Receiver", dict[str, str], bytes], int]


def accept(receiver: "Receiver", headers: dict[str, str], body: bytes) -> int:
    return 200


@dataclass
class Receiver:
    """Notes whatever it is sent; `reply` says how it answers."""

    reply: Reply = accept
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    content: bytes = b"noted"
    lock: threading.Lock = field(default_factory=threading.Lock)
    headers: dict[str, str] = field(default_factory=dict)

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every request as the library reads it, which raises where a signature is wrong."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.requests]

    def heard(self) -> set[str]:
        return {headers["webhook-id"] for headers, _body in self.requests}


@contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.lock:
                receiver.requests.append((headers, body))
            status = receiver.reply(receiver, headers, body)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(receiver.content)))
            self.end_headers()
            self.wfile.write(receiver.content)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
