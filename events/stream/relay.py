"""How a committed event reaches the clients of every stream process.

Whoever commits something sends a hint through Redis (events/hints.py). Every stream process hears it over its one
subscription and asks the database to give positions to what has none (events/sql/place.sql); one of them finds work,
hands it to its own clients and publishes it to the other processes. That is the quick way, and nothing depends on it:
each process also looks at the outbox by itself every STREAM_POLL_SECONDS, two small queries however many streams are
open. Hints that were lost, a Redis that is away, a process that died between committing and publishing: all of
that is later, never lost, since clients that missed something read it from the outbox.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import orjson
import psycopg
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from events import hints
from events.stream.frames import Message
from events.stream.hub import Hub
from events.stream.journal import Journal, Row

logger = logging.getLogger(__name__)

PLACED_AT_ONCE = 500
AWAY_SECONDS = 1.0
PULSE_SECONDS = 1.0
SILENCE_SECONDS = 15.0  # without even our own pulse, the subscription is dead whatever its socket says
REDIS_TIMEOUT_SECONDS = 1.0
BALANCE = "credits.balance"
OF_CREDITS = "credits."

Figures = Callable[[list[int]], Awaitable[dict[int, list[Message]]]]


class Relay:
    def __init__(self, hub: Hub, journal: Journal, figures: Figures) -> None:
        self.hub = hub
        self.journal = journal
        self.figures = figures
        self.awake = asyncio.Event()
        self.has_gap = True  # the first look finds out where the outbox stands
        self.redis_answers = False
        self.database_answers = False
        self.heard_at = 0.0
        self.told_head_at = 0.0
        self.due: set[int] = set()  # whose balance is another now
        self.due_awake = asyncio.Event()
        self.balance_told_at: dict[int, float] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.publisher = self._redis()

    def start(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks = [asyncio.create_task(each()) for each in (self._listen, self._keep, self._tell_balances)]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.publisher.aclose()

    # ---------------------------------------------------------------- what Redis says

    async def _listen(self) -> None:
        while True:
            client = self._redis()
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(hints.channel())
                    await self._hear_all(subscription)
            except (RedisError, OSError) as error:
                logger.warning("stream.redis_away", extra={"error": type(error).__name__})
            except Exception:  # a message that nobody of ours sent must not end the subscription for good
                logger.exception("stream.unreadable_message")
            finally:
                await client.aclose()
            self.redis_answers = False
            self._judge()
            await asyncio.sleep(AWAY_SECONDS)

    async def _hear_all(self, subscription: Any) -> None:
        self.heard_at = _now()
        while True:
            message = await subscription.get_message(timeout=PULSE_SECONDS)
            if message is None:
                if _now() - self.heard_at > SILENCE_SECONDS:
                    raise RedisError("silent")
                continue
            self.heard_at = _now()
            if message["type"] == "subscribe":
                self.redis_answers = True
                self._judge()
                # What was said while we did not listen is found in the outbox; balances were not written anywhere.
                self.has_gap = True
                self.awake.set()
                self.balance_changed(self.hub.clients)
            elif message["type"] == "message":
                self._hear(orjson.loads(message["data"]))

    def _hear(self, said: dict[str, Any]) -> None:
        if "rows" in said:
            self._take([Row.from_columns(columns) for columns in said["rows"]])
        elif "head" in said:
            if said["head"] > self.hub.seen:
                self.has_gap = True
                self.awake.set()
        else:
            self.balance_changed(said["users"])
            if said["has_news"]:
                self.awake.set()

    def _take(self, rows: list[Row]) -> None:
        if not self.hub.take(rows):
            self.has_gap = True
            self.awake.set()
        self.balance_changed({row.user_id for row in rows if row.type.startswith(OF_CREDITS)})

    # ---------------------------------------------------------------- what the outbox says

    async def _keep(self) -> None:
        looked_at = 0.0
        while True:
            try:
                async with asyncio.timeout_at(looked_at + settings.STREAM_POLL_SECONDS):
                    await self.awake.wait()
            except TimeoutError:
                pass
            self.awake.clear()
            # By the clock, and not by the timeout: where hints never stop, the wait never lasts.
            self.has_gap |= _now() >= looked_at + settings.STREAM_POLL_SECONDS
            try:
                await self._place()
                if self.has_gap:
                    looked_at = _now()
                    await self._catch_up()
                self.database_answers = True
            except (psycopg.Error, OSError) as error:
                logger.warning("stream.database_away", extra={"error": type(error).__name__})
                self.database_answers = False
                self.has_gap = True
                looked_at = _now()
            self._judge()
            await self._pulse()

    async def _place(self) -> None:
        while rows := await self.journal.place(PLACED_AT_ONCE):
            self._take(rows)
            await self._publish({"rows": [row.as_list() for row in rows]})
            if len(rows) < PLACED_AT_ONCE:
                return

    async def _catch_up(self) -> None:
        self.has_gap = False
        head = await self.journal.head()
        while head > self.hub.seen:
            present = set(self.hub.clients)
            missed = await self.journal.who(present, self.hub.seen, head)
            self.hub.skip_to(head, missed=missed, present=present)
            self.balance_changed(missed)

    async def _pulse(self) -> None:
        """Goes round through Redis and back to us: whoever hears it knows that the way is open, and how far we are."""
        if _now() - self.told_head_at >= PULSE_SECONDS:
            self.told_head_at = _now()
            await self._publish({"head": self.hub.seen})

    async def _publish(self, said: dict[str, Any]) -> None:
        try:
            await self.publisher.publish(hints.channel(), orjson.dumps(said))
        except (RedisError, OSError) as error:
            logger.info("stream.unpublished", extra={"error": type(error).__name__})

    def _judge(self) -> None:
        self.hub.degrade(not (self.redis_answers and self.database_answers))

    # ---------------------------------------------------------------- balances, which are told and not written

    def balance_changed(self, user_ids: Iterable[int]) -> None:
        here = self.hub.clients.keys() & set(user_ids)
        if here:
            self.due |= here
            self.due_awake.set()

    async def _tell_balances(self) -> None:
        """Whoever is due is read in one query, and a customer no more than once in STREAM_BALANCE_SECONDS."""
        pause = settings.STREAM_BALANCE_SECONDS
        while True:
            await self.due_awake.wait()
            self.due_awake.clear()
            now = _now()
            self.due &= self.hub.clients.keys()
            self.balance_told_at = {user: at for user, at in self.balance_told_at.items() if at + pause > now}
            ready = self.due - self.balance_told_at.keys()
            if ready:
                self.due -= ready
                self.balance_told_at |= dict.fromkeys(ready, now)
                await self._tell_balances_of(sorted(ready))
            if self.due:
                wait = min(self.balance_told_at.get(user, now) for user in self.due) + pause - now
                asyncio.get_running_loop().call_later(max(wait, 0.01), self.due_awake.set)

    async def _tell_balances_of(self, user_ids: list[int]) -> None:
        try:
            found = await self.figures(user_ids)
        except Exception:  # whatever it is, the next figure must still be told
            logger.exception("stream.no_balances")
            self.due |= set(user_ids)
            return
        for user_id, figures in found.items():
            for figure in figures:
                self.hub.tell(user_id, BALANCE, figure, key=str(figure["unit"]))

    def _redis(self) -> "redis.asyncio.Redis":
        return redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
