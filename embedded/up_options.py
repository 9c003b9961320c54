"""The options of `manage.py up`. Without Django, so that `up --help` answers before anything is installed."""

from argparse import ArgumentParser

HELP = "Start Tirelire here: embedded servers, migrations, demo people and all processes, until Ctrl-C."


def add_to(parser: ArgumentParser, *, port: int | None = None, sandbox_port: int | None = None) -> None:
    parser.allow_abbrev = False  # what starts again without --fresh must know how it was spelt
    parser.add_argument("--port", type=int, default=port, help="the port of the web server (PORT, 8000)")
    parser.add_argument("--stream-port", type=int, help="the port of the streams; the next one unless it is taken")
    parser.add_argument("--host", default="127.0.0.1", help="the address of the web server (127.0.0.1)")
    parser.add_argument(
        "--sandbox-port",
        type=int,
        default=sandbox_port,
        help="the port of the gateways in a box (SANDBOX_PORT, 8010)",
    )
    parser.add_argument("--fresh", action="store_true", help="delete all local data first (asks)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
