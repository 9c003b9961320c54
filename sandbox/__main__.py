"""`manage.py sandbox`: start the gateways in a box, until Ctrl-C."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sandbox import registry
from sandbox.box import Sandbox
from sandbox.clock import Clock
from sandbox.dials import UnknownDial
from sandbox.server import Server
from sandbox.state import Keeper

DEFAULT_PORT = 8010
HOST = "127.0.0.1"  # never another: whoever reaches the control can read and change everything here


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if os.environ.get("APP_ENV") == "production":
        return refuse("The sandbox is for laptops and tests. It does not start in production (APP_ENV).")
    logging.basicConfig(level=os.environ.get("SANDBOX_LOG_LEVEL", "WARNING"), format="%(levelname)s %(message)s")
    clock = Clock()
    try:
        settings = listeners(options.webhooks_to) | from_environment("SANDBOX_SETTINGS")
        gateways = registry.gateways(clock, from_environment("SANDBOX_DIALS"), settings)
    except (UnknownDial, ValueError) as error:
        return refuse(f"SANDBOX_DIALS or SANDBOX_SETTINGS cannot be used: {error}")
    keeper = Keeper(options.state, clock, gateways)
    try:
        keeper.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return refuse(f"{options.state} cannot be read ({error!r}). Delete it to start afresh.")
    try:
        server = Server((HOST, options.port), Sandbox(clock, gateways), keeper)
    except (OSError, OverflowError) as error:
        return refuse(f"Cannot listen on {HOST}:{options.port} ({error}). Choose another: --port {options.port + 1}")
    stop_at_signals(server)
    if options.stop_with_stdin:
        threading.Thread(target=stop_with_stdin, args=(server,), daemon=True).start()
    sys.stdout.write(f"The sandbox is ready: http://{HOST}:{server.server_port}/\n")
    sys.stdout.flush()
    server.serve()
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=int(os.environ.get("SANDBOX_PORT") or DEFAULT_PORT))
    parser.add_argument("--state", type=Path, help="keep the state in this file, over restarts")
    parser.add_argument("--webhooks-to", default="", help="tell events to this address and the gateway's name")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when the standard input is closed")
    return parser.parse_args(arguments)


def listeners(start: str) -> dict[str, Any]:
    """Where the gateways that have one address for everything write to: http://…/webhooks/paypal."""
    wanting = [kind.name for kind in registry.KINDS if "webhook_url" in kind.default_settings]
    return {name: {"webhook_url": f"{start.rstrip('/')}/{name}"} for name in wanting} if start else {}


def from_environment(name: str) -> dict[str, Any]:
    """A JSON object by gateway: SANDBOX_DIALS='{"paypal": {"latency_ms": 200}}'."""
    value = json.loads(os.environ.get(name) or "{}")
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError(f"{name} is a JSON object of objects, one for each gateway.")
    return value


def refuse(why: str) -> int:
    sys.stderr.write(why + "\n")
    return 1


def stop(server: Server) -> None:
    threading.Thread(target=server.shutdown).start()  # it waits for the loop that a signal interrupts


def stop_at_signals(server: Server) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop(server))


def stop_with_stdin(server: Server) -> None:
    """Whoever started us keeps our standard input open; when it is gone, so are we."""
    sys.stdin.buffer.read()
    stop(server)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
