"""Who listens in this process, what each was told last, and who gets a message that has come.

A client has a cursor, the position of the last event it was sent, and a short queue. The queue only saves reading:
when it overflows, or when this process has missed something, the client is *behind*, and reads the outbox from its
cursor on. So a slow reader costs a bounded queue, and nobody misses or hears anything twice.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection
from uuid import UUID

from prometheus_client import Counter, Gauge

from events.stream import frames
from events.stream.frames import Message
from events.stream.journal import Row
from events.tickets import Listener

OPEN = Gauge("tirelire_stream_connections", "Streams that are open.", ["kind"], multiprocess_mode="livesum")
REREAD = Counter("tirelire_stream_rereads", "Times that a stream read the outbox because it was behind.")


class TooManyStreams(Exception):
    """One customer has as many streams open here as one may have."""


class Client:
    """One open stream."""

    def __init__(self, *, user_id: int, kind: str, cursor: int, token_id: UUID | None = None) -> None:
        self.user_id = user_id
        self.token_id = token_id
        self.kind = kind
        self.cursor = cursor
        self.is_behind = True  # until it has read what came before it was known here
        self.has_ended = False
        self.rows: deque[Row] = deque()
        self.passing: dict[str, Message] = {}  # the latest of each kind; older ones are of no use
        self.told: dict[str, Message] = {}
        self.awake = asyncio.Event()

    def end(self) -> None:
        self.has_ended = True
        self.awake.set()

    def fall_behind(self) -> None:
        if not self.is_behind:
            REREAD.inc()
        self.is_behind = True
        self.rows.clear()
        self.awake.set()

    def take_rows(self) -> list[Row]:
        """What is new in the queue; the cursor moves past it."""
        fresh = [row for row in self.rows if row.position > self.cursor]
        self.rows.clear()
        if fresh:
            self.cursor = fresh[-1].position
        return fresh

    def take_passing(self) -> list[Message]:
        messages, self.passing = list(self.passing.values()), {}
        return messages


class Hub:
    def __init__(self, *, queue: int, streams_per_user: int) -> None:
        self.queue = queue
        self.streams_per_user = streams_per_user
        self.clients: defaultdict[int, set[Client]] = defaultdict(set)
        self.seen = 0  # the position up to which every client here was told, or fell behind
        self.is_degraded = False

    def add(self, client: Client) -> None:
        mine = self.clients[client.user_id]
        if len(mine) >= self.streams_per_user:
            raise TooManyStreams
        mine.add(client)
        OPEN.labels(client.kind).inc()

    def remove(self, client: Client) -> None:
        mine = self.clients.get(client.user_id, set())
        if client in mine:
            mine.remove(client)
            OPEN.labels(client.kind).dec()
            if not mine:
                del self.clients[client.user_id]

    def everyone(self) -> list[Client]:
        return [client for clients in self.clients.values() for client in clients]

    def take(self, rows: list[Row]) -> bool:
        """Hand on events that follow each other; False when some before them have not come by."""
        if not rows or rows[-1].position <= self.seen:
            return True
        if rows[0].position > self.seen + 1:
            return False
        for row in rows:
            if row.position > self.seen:
                for client in self.clients.get(row.user_id, ()):
                    self._give(client, row)
        self.seen = rows[-1].position
        return True

    def _give(self, client: Client, row: Row) -> None:
        if client.is_behind:
            return  # it has yet to read the outbox, and will find this there
        if len(client.rows) >= self.queue:
            client.fall_behind()
            return
        client.rows.append(row)
        client.awake.set()

    def skip_to(self, position: int, *, missed: set[int], present: set[int]) -> None:
        """This process has not heard what lies up to a position. `missed` are those of the `present` whom it concerns.

        Who came while that was looked up may have read the outbox before, and looks once more.
        """
        for user_id, clients in self.clients.items():
            if user_id in missed or user_id not in present:
                for client in clients:
                    client.fall_behind()
        self.seen = max(self.seen, position)

    def tell(self, user_id: int, kind: str, data: Message, *, key: str = "") -> None:
        name = f"{kind}:{key}"
        for client in self.clients.get(user_id, ()):
            if client.told.get(name) != data:
                client.told[name] = data
                client.passing[name] = frames.passing(kind, data)
                client.awake.set()

    def degrade(self, is_degraded: bool) -> None:
        """Tell everybody that events may be late for now, or that all is well again."""
        if is_degraded == self.is_degraded:
            return
        self.is_degraded = is_degraded
        for user_id in list(self.clients):
            self.tell(user_id, frames.STATUS, self.status())

    def status(self) -> Message:
        return {"status": "degraded" if self.is_degraded else "ok"}

    def listeners(self) -> set[Listener]:
        """Who listens here and by what, each once however many streams they have."""
        return {(client.user_id, client.token_id) for client in self.everyone()}

    def end_of(self, listeners: Collection[Listener]) -> None:
        for client in self.everyone():
            if (client.user_id, client.token_id) in listeners:
                client.end()

    def end_all(self) -> None:
        for client in self.everyone():
            client.end()
