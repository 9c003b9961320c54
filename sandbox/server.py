"""The HTTP server: one thread per connection, and a hand on the socket for the dials that drop connections."""

import itertools
import logging
import socket
import struct
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox import control
from sandbox.box import Sandbox
from sandbox.state import Keeper
from sandbox.wire import Malformed, Reply, Request, json_reply

LARGEST_BODY_BYTES = 6_000_000  # a file that speaks in a dispute is the largest thing that anybody sends
TICK_SECONDS = 0.25
TICKS_BETWEEN_KEEPS = 8  # writing everything down takes longer the more there is

log = logging.getLogger("sandbox")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: Sandbox, keeper: Keeper) -> None:
        super().__init__(address, Connection)
        self.sandbox = sandbox
        self.keeper = keeper
        self.closing = threading.Event()

    def serve(self) -> None:
        """Serve until `shutdown` is called from another thread."""
        threading.Thread(target=self._tick, daemon=True, name="ticks").start()
        for gateway in self.sandbox.gateways.values():
            gateway.postman.start()
        try:
            self.serve_forever(poll_interval=0.2)
        finally:
            self.closing.set()
            for gateway in self.sandbox.gateways.values():
                gateway.postman.stop()
            self.keeper.keep()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.error("A connection failed", exc_info=True)  # noqa: LOG014 - it is called while handling one

    def _tick(self) -> None:
        for number in itertools.count(1):
            if self.closing.wait(TICK_SECONDS):
                return
            try:
                self.sandbox.tick()
                if number % TICKS_BETWEEN_KEEPS == 0:
                    self.keeper.keep()
            except Exception:
                log.exception("What was due could not be done")


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120  # an idle connection is closed
    server: Server

    def _serve(self) -> None:
        request = self._read()
        if isinstance(request, Reply):
            self.close_connection = True
            self._write(request)
            return
        try:
            reply = answer(self.server.sandbox, request)
        except Malformed as error:
            reply = json_reply({"detail": str(error)}, 400)
        except Exception:
            log.exception("%s %s could not be answered", request.method, request.path)
            reply = json_reply({"detail": "The sandbox itself has a fault; its log says more."}, 500)
        if reply is None:
            self._break()
        else:
            self._write(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - the library calls them so

    def _read(self) -> Request | Reply:
        length = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not length.isdecimal():
            return json_reply({"detail": "A body needs a Content-Length."}, 411)
        if int(length) > LARGEST_BODY_BYTES:
            return json_reply({"detail": "The body is too large."}, 413)
        address = urlsplit(self.path)
        host, port = self.server.server_address[:2]
        return Request(
            method=self.command,
            path=unquote(address.path),
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
            base_url=f"http://{self.headers.get('Host') or f'{host!s}:{port}'}",
        )

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _break(self) -> None:
        """Reset the connection, as a machine that dies does: no reply, not even a polite end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        log.debug(format, *args)


def answer(sandbox: Sandbox, request: Request) -> Reply | None:
    """The reply to one request; None means that the connection breaks instead."""
    _, first, rest = [*request.path.split("/", 2), ""][:3]
    if gateway := sandbox.gateways.get(first):
        return sandbox.call(gateway, replace(request, path="/" + rest, base_url=f"{request.base_url}/{first}"))
    return control.answer(sandbox, request)
