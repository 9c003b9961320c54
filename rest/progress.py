"""A bar on a terminal, and a line now and then where there is none."""

import time
from typing import TextIO

WIDTH = 30
SECONDS_BETWEEN_LINES = 10.0


class Bar:
    """Shows how much of something known is done. Redrawn in place on a terminal; elsewhere lines, and not many."""

    def __init__(self, stream: TextIO, *, total: int, what: str) -> None:
        self.stream = stream
        self.total = max(total, 1)
        self.what = what
        self._told_at = time.monotonic()

    def show(self, done: int) -> None:
        if self.stream.isatty():
            share = min(done / self.total, 1)
            full = round(share * WIDTH)
            self.stream.write(
                f"\r[{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%}  {done:,} of {self.total:,} {self.what}"
            )
        elif time.monotonic() - self._told_at >= SECONDS_BETWEEN_LINES:
            self._told_at = time.monotonic()
            self.stream.write(f"{done:,} of {self.total:,} {self.what}\n")
        self.stream.flush()

    def end(self) -> None:
        if self.stream.isatty():
            self.stream.write("\n")
