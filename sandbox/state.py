"""Keeping the gateways' state in a file, so that a laptop's payments survive a restart."""

import json
import threading
from pathlib import Path

from sandbox.clock import Clock
from sandbox.gateway import Gateway


class Keeper:
    """Writes the state when it changed. Without a file it remembers nothing."""

    def __init__(self, path: Path | None, clock: Clock, gateways: dict[str, Gateway]) -> None:
        self.path = path
        self.clock = clock
        self.gateways = gateways
        self.written = ""
        self.lock = threading.Lock()

    def load(self) -> None:
        if self.path is None or not self.path.exists():
            return
        known = json.loads(self.path.read_text())
        self.clock.advance(known["clock_offset_seconds"])
        for name, kept in known["gateways"].items():
            if gateway := self.gateways.get(name):
                gateway.state |= {table: kept["state"][table] for table in gateway.tables if table in kept["state"]}

    def keep(self) -> None:
        if self.path is None:
            return
        with self.lock:
            current = self._everything()
            if current != self.written:
                new = self.path.with_suffix(".new")
                new.touch(0o600)
                new.write_text(current)
                new.rename(self.path)
                self.written = current

    def _everything(self) -> str:
        kept = []
        for name, gateway in self.gateways.items():
            with gateway.lock:
                kept.append(f'"{name}": {json.dumps({"state": gateway.state})}')
        offset = json.dumps(self.clock.offset_seconds)
        return f'{{"clock_offset_seconds": {offset}, "gateways": {{{", ".join(kept)}}}}}'
