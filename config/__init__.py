"""The composition root: settings, addresses, Celery, problems, health. Nobody imports it."""

import gc

# Starting makes a quarter of a million objects that live for ever; to look through them again and again for garbage
# takes a fifth of the time until a process is ready. `ConfigConfig.ready` turns the collector on again.
gc.disable()

from config.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
