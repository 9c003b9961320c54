"""The sender of deliveries: one loop that keeps many under way at once, so that a slow server waits alone."""

import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.conf import settings
from django.core.cache import cache

from events import deliveries, posting
from events.deliveries import Letter
from events.posting import Answer

FLOOR = "events:sender"
FLOOR_SECONDS = 15  # of a sender that was killed; a living one says again and again that it lives
LOOK_SECONDS = 0.2  # while something is under way, new deliveries wait no longer than this


def run() -> int:
    """Send what is due; returns how many attempts that were. A second sender beside one that runs ends at once.

    That is thrift and not safety, for a claim belongs to one sender whoever else runs: workers are few, and a server
    that hangs must not keep all of them.
    """
    own = uuid.uuid4().hex
    if not cache.add(FLOOR, own, timeout=FLOOR_SECONDS):
        return 0
    try:
        with ThreadPoolExecutor(settings.WEBHOOKS_CONCURRENCY, thread_name_prefix="webhook") as pool:
            return _loop(pool, own)
    finally:
        _leave(own)


def _loop(pool: ThreadPoolExecutor, own: str) -> int:
    """Claims for WEBHOOKS_RUN_SECONDS, then leaves the floor to the next and hears its own last answers."""
    until = time.monotonic() + settings.WEBHOOKS_RUN_SECONDS
    under_way: dict[Future[Answer], Letter] = {}
    sent = 0
    while True:
        if time.monotonic() < until:
            cache.touch(FLOOR, FLOOR_SECONDS)
            for letter in deliveries.claim(settings.WEBHOOKS_CONCURRENCY - len(under_way)):
                under_way[pool.submit(_send, letter)] = letter
        else:
            _leave(own)
        if not under_way:
            deliveries.note_lateness()
            return sent
        done, _ = wait(under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        for answered in done:
            deliveries.note(under_way.pop(answered), answered.result())
            sent += 1


def _send(letter: Letter) -> Answer:
    return Answer(error=letter.fault) if letter.fault else posting.post(letter.url, letter.headers, letter.body)


def _leave(own: str) -> None:
    if cache.get(FLOOR) == own:
        cache.delete(FLOOR)
