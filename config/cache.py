"""The cache: Redis, and this process's own memory for as long as Redis is away."""

import logging
import time
from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


class SteadyCache(RedisCache):
    """What counts failed sign-ins and used codes must neither lock operators out nor stop counting without Redis.

    In memory each process counts for itself, so an attacker gets at most as many tries as there are processes.
    After a failure Redis is left alone for CACHE_PAUSE_SECONDS, so that requests do not each pay its timeout.
    """

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        name = str(server)
        self._memory = LocMemCache(f"steady {name}", {key: params[key] for key in params if key != "OPTIONS"})
        self._away = _Away(name)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._steadily(super().add, self._memory.add, *args, **kwargs))

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._steadily(super().get, self._memory.get, *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self._steadily(super().set, self._memory.set, *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._steadily(super().touch, self._memory.touch, *args, **kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._steadily(super().delete, self._memory.delete, *args, **kwargs))

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._steadily(super().get_many, self._memory.get_many, *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._steadily(super().set_many, self._memory.set_many, *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        self._steadily(super().delete_many, self._memory.delete_many, *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(self._steadily(super().has_key, self._memory.has_key, *args, **kwargs))

    def incr(self, *args: Any, **kwargs: Any) -> int:
        return int(self._steadily(super().incr, self._memory.incr, *args, **kwargs))

    def clear(self) -> None:
        # RedisCache would flush the whole database, in which other things of ours live.
        raise NotImplementedError("The cache shares its Redis database; delete keys by name.")

    def _steadily(self, shared: Callable[..., Any], own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._away.now():
            return own(*args, **kwargs)
        try:
            return shared(*args, **kwargs)
        except RedisError as error:
            self._away.note(error)
            return own(*args, **kwargs)


class _Away:
    """Until when a server is left alone, for all threads of this process (Django makes a cache object for each)."""

    _until: ClassVar[dict[str, float]] = {}

    def __init__(self, server: str) -> None:
        self.server = server

    def now(self) -> bool:
        return time.monotonic() < self._until.get(self.server, 0)

    def note(self, error: RedisError) -> None:
        if not self.now():
            logger.warning("cache.away", extra={"error": type(error).__name__})
        self._until[self.server] = time.monotonic() + settings.CACHE_PAUSE_SECONDS
