"""Runs `manage.py up` on a terminal of its own, ends it in one of four ways, and returns when no process is left.

As a "child subreaper" this process becomes the parent of every descendant whose own parent dies, so `wait` fails with
ECHILD exactly when the last of them is gone: nothing is polled and nothing can hide.
"""

import contextlib
import ctypes
import json
import os
import pty
import re
import signal
import sys
import threading
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GIVE_UP_SECONDS = 300


class Terminal:
    """A pseudo-terminal with `manage.py up` in its foreground."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, environment or dict(os.environ))
        self.text = ""
        self.is_over = False
        self.news = threading.Condition()

    def read_until(self, pattern: str) -> re.Match[str]:
        while not (found := re.search(pattern, self.text)):
            try:
                piece = os.read(self.master, 65_536)
            except OSError:
                piece = b""
            if not piece:
                raise SystemExit(f"ended before {pattern!r} was seen:\n{self.text[-3000:]}")
            self.text += piece.decode(errors="replace")
        return found

    def follow(self) -> None:
        """Read in the background from now on: who asks a thousand times must not make `up` wait for its terminal."""
        self.reader = threading.Thread(target=self.drain, daemon=True)
        self.reader.start()

    def saw(self, pattern: str) -> bool:
        """Wait until a followed terminal has shown this; false if it ended before, or never does."""
        with self.news:
            self.news.wait_for(lambda: re.search(pattern, self.text) or self.is_over, GIVE_UP_SECONDS)
            return re.search(pattern, self.text) is not None

    def end(self, how: str) -> None:
        match how:
            case "ctrl-c":
                os.write(self.master, b"\x03")
            case "closed-terminal":
                os.close(self.master)
            case _:
                os.kill(self.pid, signal.Signals[how])

    def drain(self) -> None:
        """Read on, so that nobody blocks on a full terminal while stopping."""
        with contextlib.suppress(OSError):
            while piece := os.read(self.master, 65_536):
                with self.news:
                    self.text += piece.decode(errors="replace")
                    self.news.notify_all()
        with self.news:
            self.is_over = True
            self.news.notify_all()


def descendants() -> list[str]:
    """The command lines of all that still descends from this process."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rsplit(")", 1)[1].split()[1])
    found: set[int] = set()
    newest = {os.getpid()}
    while newest:
        newest = {pid for pid, parent in parents.items() if parent in newest} - found
        found |= newest
    lines = []
    for pid in sorted(found):
        with contextlib.suppress(OSError):
            lines.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def give_up(*_: object) -> None:
    sys.stderr.write("still there:\n" + "\n".join(descendants()) + "\n")
    sys.stderr.flush()
    os._exit(1)


def main(how: str, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(GIVE_UP_SECONDS)
    terminal = Terminal(command)
    terminal.read_until(r"Stop +Ctrl-C")
    alive = descendants()
    terminal.end(how)
    terminal.drain()
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.wait()
            if pid == terminal.pid:
                code = os.waitstatus_to_exitcode(status)
    sys.stdout.write(json.dumps({"alive": alive, "code": code}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
