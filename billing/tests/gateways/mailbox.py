"""Where gateways write to us in these tests: every letter is kept to the byte."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from billing.gateways.base import Letter


class Mailbox(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.letters: list[Letter] = []

    def url(self, token: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{token}"

    def about(self, token: str) -> list[Letter]:
        """The letters that came to this path, without the pings that ask whether anybody is there."""
        return [letter for letter in self.letters if letter.token == token and letter.body]


class _Handler(BaseHTTPRequestHandler):
    server: Mailbox

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        letter = Letter(method=self.command, headers=headers, body=body, token=self.path.strip("/"))
        self.server.letters.append(letter)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = _take  # noqa: N815 - the library calls them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        return


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        thread = threading.Thread(target=mailbox.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield mailbox
        finally:
            mailbox.shutdown()
            thread.join()
