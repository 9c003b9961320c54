"""The worker application of the tests, with jobs that cost credits and tell where they are."""

import os

import django

django.setup()  # the worker loads this module before it sets Django up

from config.celery import app  # noqa: E402
from config.tests.worker_app import tell, wait_for  # noqa: E402
from credits.jobs import ChargedTask  # noqa: E402

__all__ = ["app"]


@app.task(base=ChargedTask, bind=True)
def draw(self: ChargedTask, then: str) -> None:
    """The test decides when it goes on, and how it ends."""
    tell("test:started", child=os.getpid())
    wait_for("test:go")
    if then == "fail":
        raise ValueError("no picture came of it")
    if then == "retry" and not self.request.retries:
        raise self.retry(countdown=0, max_retries=1)
    if then.isdigit():
        self.use(int(then))
