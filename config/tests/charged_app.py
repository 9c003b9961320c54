"""The worker application of the tests, with jobs that cost credits and tell where they are."""

import os

from config.tests.worker_app import app, tell, wait_for
from credits.jobs import ChargedTask

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
