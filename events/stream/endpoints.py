"""The two endpoints of the stream process, one ASGI application: `GET /api/v1/events`, the WebSocket `/ws/events`."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import orjson
import psycopg
from django.conf import settings
from django.http import Http404, HttpResponse
from prometheus_client import Histogram

from events.stream import frames, origins
from events.stream.frames import Message
from events.stream.hub import Client, Hub
from events.stream.journal import Journal, Row
from events.stream.relay import Relay
from events.tickets import Admitted, Listener

logger = logging.getLogger(__name__)

PAGE = 200
RETRY_SECONDS = 1.0
GOODBYE_SECONDS = 1.0
THREADS = 4  # for what is not async: credentials and balances
WEBSOCKET_PATH = "/ws/events"
HEALTH_PATH = "/health/stream"
RECONNECT_MILLISECONDS = 2_000
TRY_AGAIN = 1012  # "service restart": the close code after which clients are to come back

LAG = Histogram(
    "tirelire_stream_lag_seconds",
    "From writing an event to handing it to an open stream.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What floors above and beside this one do for the streams; all of it may block, so it runs in threads."""

    admit: Callable[[Scope], Admitted]  # or it raises
    refuse: Callable[[Scope, BaseException], HttpResponse]
    lapsed: Callable[[Collection[Listener]], set[Listener]]  # of those who listen, who may not any more
    figures: Callable[[list[int]], dict[int, list[Message]]]
    pulse: Callable[[], None]  # every HEARTBEAT_SECONDS
    others: Application  # health and metrics


class Refused(Exception):
    def __init__(self, answer: HttpResponse) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


class Streams:
    """The application. Everything it keeps is made when the server starts it, in the server's own loop."""

    hub: Hub
    journal: Journal
    relay: Relay

    def __init__(self, house: House) -> None:
        self.house = house
        self.path = f"{settings.API_PREFIX}events"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"):
            case "lifespan", _:
                await self._live(receive, send)
            case "http", self.path:
                await self._sent_events(scope, receive, send)
            case "http", str(path) if path == HEALTH_PATH:
                await _answer(send, 200, {"content-type": "application/json"}, orjson.dumps(self.health()))
            case "http", str(path) if path.startswith(("/health/", "/metrics")):
                await self.house.others(scope, receive, send)
            case "websocket", str(path) if path == WEBSOCKET_PATH:
                await self._websocket(scope, receive, send)
            case _:
                await self._turn_away(scope, send, await self._refusal(scope, Http404()))

    def health(self) -> dict[str, Any]:
        return {**self.hub.status(), "streams": len(self.hub.everyone())}

    # ---------------------------------------------------------------- from start to end

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.threads = ThreadPoolExecutor(THREADS, "stream")
        self.hub = Hub(queue=settings.STREAM_QUEUE, streams_per_user=settings.STREAM_CONNECTIONS_PER_CUSTOMER)
        self.journal = Journal()
        self.relay = Relay(self.hub, self.journal, self._figures)
        await self.journal.open()
        self.relay.start()
        beside = [asyncio.create_task(each) for each in (self._pulse(), self._let_go())]
        self._end_at_signals()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in beside:
            task.cancel()
        self.hub.end_all()
        await self.relay.stop()
        await self.journal.close()
        self.threads.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    def _end_at_signals(self) -> None:
        """The server waits for answers to end before it says that it stops; these would never end by themselves."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            usual = signal.getsignal(number)

            def stop(number: int, frame: Any, usual: Any = usual) -> None:
                loop.call_soon_threadsafe(self.hub.end_all)
                if callable(usual):
                    usual(number, frame)

            signal.signal(number, stop)

    async def _pulse(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # Redis is away: health says so already
                await self._in_thread(self.house.pulse)
            await asyncio.sleep(settings.HEARTBEAT_SECONDS)

    async def _let_go(self) -> None:
        """A stream ends with what opened it: one question for all of them, as often as a quiet one is told that it is
        alive. Without a database the next question will do."""
        while True:
            await asyncio.sleep(settings.STREAM_HEARTBEAT_SECONDS)
            if listeners := self.hub.listeners():
                with contextlib.suppress(Exception):
                    self.hub.end_of(await self._in_thread(self.house.lapsed, listeners))

    async def _figures(self, user_ids: list[int]) -> dict[int, list[Message]]:
        figures: dict[int, list[Message]] = await self._in_thread(self.house.figures, user_ids)
        return figures

    async def _in_thread(self, act: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, act, *arguments)

    # ---------------------------------------------------------------- letting in

    async def _open(self, scope: Scope, kind: str) -> tuple[Client, Message]:
        """A client that the hub knows, and the first thing to tell it; Refused when there is to be none."""
        try:
            admitted: Admitted = await self._in_thread(self.house.admit, scope)
            cursor, known_as, resumed = await self._resume(admitted.user_id, last_event_id(scope))
            client = Client(user_id=admitted.user_id, kind=kind, cursor=cursor, token_id=admitted.token_id)
            self.hub.add(client)
        except Exception as error:  # each is a problem that the caller is to read
            raise Refused(await self._refusal(scope, error)) from error
        if resumed:
            self.relay.balance_changed([admitted.user_id])
        lasting = float(settings.STREAM_LONGEST_SECONDS)
        if admitted.ends_at is not None:
            lasting = min(lasting, (admitted.ends_at - datetime.now(UTC)).total_seconds())
        asyncio.get_running_loop().call_later(lasting, client.end)
        return client, frames.passing(frames.READY, {"resumed": resumed, **self.hub.status()}, resume_from=known_as)

    async def _resume(self, user_id: int, given: str) -> tuple[int, str, bool]:
        """Where a stream goes on: its position, the id of that place, and whether it is where the client was.

        An id that is not one of the customer's events resumes nothing: the client is told, and reads the state anew.
        """
        if given == frames.FROM_THE_BEGINNING:
            return 0, given, True
        with contextlib.suppress(ValueError):
            position = await self.journal.position_of(user_id, UUID(given))
            if position is not None:
                return position, str(UUID(given)), True
        last = await self.journal.last_of(user_id)
        return (*last, False) if last else (0, frames.FROM_THE_BEGINNING, False)

    async def _refusal(self, scope: Scope, error: BaseException) -> HttpResponse:
        answer: HttpResponse = await self._in_thread(self.house.refuse, scope, error)
        return answer

    async def _turn_away(self, scope: Scope, send: Send, answer: HttpResponse) -> None:
        headers = {name.lower(): value for name, value in answer.items()} | origins.headers(scope)
        if scope["type"] == "http":
            await _answer(send, answer.status_code, headers, answer.content)
        elif "websocket.http.response" in scope.get("extensions", {}):
            await _answer(send, answer.status_code, headers, answer.content, kind="websocket.http.response")
        else:
            await send({"type": "websocket.close"})

    # ---------------------------------------------------------------- what a client is told

    async def _messages(self, client: Client, ready: Message) -> AsyncIterator[list[Message]]:
        yield [ready]
        while not client.has_ended:
            if client.is_behind:
                if rows := await self._read(client):
                    yield _told(rows)
            elif client.rows:
                rows = client.take_rows()
                now = datetime.now(UTC)
                for row in rows:
                    LAG.observe((now - row.created_at).total_seconds())
                if rows:
                    yield _told(rows)
            elif client.passing:
                yield client.take_passing()
            else:
                client.awake.clear()
                try:
                    async with asyncio.timeout(settings.STREAM_HEARTBEAT_SECONDS):
                        await client.awake.wait()
                except TimeoutError:
                    yield [frames.passing(frames.HEARTBEAT, {})]

    async def _read(self, client: Client) -> list[Row]:
        client.is_behind = False  # first: what comes while we read is put into the queue, and skipped if it was read
        try:
            rows = await self.journal.since(client.user_id, client.cursor, PAGE)
        except (psycopg.Error, OSError):
            client.is_behind = True
            await asyncio.sleep(RETRY_SECONDS)
            return []
        if len(rows) == PAGE:
            client.is_behind = True
        if rows:
            client.cursor = rows[-1].position
        return rows

    async def _sent_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, origins.preflight(scope), b"")
            return
        if scope["method"] != "GET":
            await _answer(send, 405, {"allow": "GET, OPTIONS", **origins.headers(scope)}, b"")
            return
        try:
            client, ready = await self._open(scope, "sse")
        except Refused as refused:
            await self._turn_away(scope, send, refused.answer)
            return
        gone = asyncio.create_task(_until_gone(receive, "http.disconnect", client))
        try:
            await send(
                {"type": "http.response.start", "status": 200, "headers": _pairs(_SENT | origins.headers(scope))}
            )
            await _write(send, f"retry: {RECONNECT_MILLISECONDS}\n\n".encode())
            async for messages in self._messages(client, ready):
                await _write(send, b"".join(map(frames.as_sent_event, messages)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            logger.info("stream.too_slow", extra={"kind": client.kind})
        finally:
            self.hub.remove(client)
            gone.cancel()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            client, ready = await self._open(scope, "websocket")
        except Refused as refused:
            await self._turn_away(scope, send, refused.answer)
            return
        gone = asyncio.create_task(_until_gone(receive, "websocket.disconnect", client))
        try:
            await send({"type": "websocket.accept"})
            async for messages in self._messages(client, ready):
                for message in messages:
                    async with asyncio.timeout(settings.STREAM_SEND_TIMEOUT_SECONDS):
                        await send({"type": "websocket.send", "text": frames.as_text(message)})
            if not gone.done():
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": "Connect again."})
        except (TimeoutError, OSError):
            logger.info("stream.too_slow", extra={"kind": client.kind})
        finally:
            self.hub.remove(client)
            gone.cancel()


_SENT = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-content-type-options": "nosniff",
}


def last_event_id(scope: Scope) -> str:
    """The header of a stream that reconnects by itself, or the parameter of one that is opened anew."""
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            return str(value.decode("latin-1").strip())
    return query(scope, "last_event_id")


def query(scope: Scope, name: str) -> str:
    """The last of that name; nothing when there is none, or the query cannot be read."""
    try:
        given: str = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=20)[name][-1]
    except (KeyError, ValueError):
        return ""
    return given


def _told(rows: list[Row]) -> list[Message]:
    return [message for row in rows for message in frames.of_row(row)]


async def _until_gone(receive: Receive, parting: str, client: Client) -> None:
    """What clients send is not listened to; only that they leave."""
    while (await receive())["type"] != parting:
        pass
    client.end()


async def _write(send: Send, body: bytes) -> None:
    # Waits while the client's buffer is full; a client that takes nothing for so long is let go.
    async with asyncio.timeout(settings.STREAM_SEND_TIMEOUT_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer(
    send: Send, status: int, headers: dict[str, str], body: bytes, *, kind: str = "http.response"
) -> None:
    length = {"content-length": str(len(body))}
    await send({"type": f"{kind}.start", "status": status, "headers": _pairs(headers | length)})
    await send({"type": f"{kind}.body", "body": body})


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
