"""Background jobs that cost credits: held when the job is sent, used when it is done, given back when it fails.

    @shared_task(base=ChargedTask, bind=True)
    def render(self: ChargedTask, film: str) -> None:
        ...
        self.use(seconds_rendered)  # only if it took less than was held

    render.charge(user=user, action="video.generate", reference=film, args=[film])

A worker that dies costs nothing and loses nothing: its message comes back to another one. If it never does, the hold
expires. So hold for longer than the job may wait and run (`seconds`).
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from celery.exceptions import Ignore, Reject, Retry
from django.contrib.auth.models import User
from django.db import transaction

from credits import errors, holds
from credits.holds import Held
from credits.models import Hold, HoldState
from ledger import ids
from rest.publishing import Task

logger = logging.getLogger(__name__)
HEADER = "credits_hold"


class NothingHeld(errors.CreditsError):
    """A job that costs credits was sent by `delay()`, which holds none: use `charge()`."""


class ChargedTask(Task):
    """The base of a job that costs credits. It runs as often as its message is delivered, and is paid for once."""

    abstract = True

    @transaction.atomic
    def charge(
        self,
        *,
        user: User,
        action: str | None = None,
        amount: int | None = None,
        quantity: int | None = None,
        unit: str | None = None,
        reference: Any = "",
        key: str | None = None,
        seconds: int | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Held:
        """Hold the credits and send the job once both are committed. The same key holds and sends once.

        If the broker is away the job is not sent, and the hold expires.
        """
        held = holds.reserve(
            user=user,
            key=key or f"job:{ids.uuid7()}",
            action=action,
            amount=amount,
            quantity=quantity,
            unit=unit,
            reference=str(reference),
            seconds=seconds,
        )
        if not held.is_replay:
            self.apply_async_on_commit(tuple(args), dict(kwargs or {}), headers={HEADER: str(held.id)})
        return held

    def use(self, amount: int) -> None:
        """What the job took, up to what is held; 0 for nothing at all."""
        self.request.update(credits_used=amount)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hold = self._hold()
        if hold.state in (HoldState.SETTLED, HoldState.RELEASED):
            # Delivered again after it was done, or given back meanwhile by somebody who may.
            logger.info("job.skipped", extra={"hold": str(hold.pk), "state": hold.state, "task": self.name})
            return None
        try:
            result = self.run(*args, **kwargs)
        except (Retry, Ignore, Reject):
            raise  # not over yet, or not ours to judge: the hold waits, and expires if nobody comes
        except BaseException:
            self._release(hold)
            raise
        self._settle(hold)
        return result

    def _hold(self) -> Hold:
        found = (self.request.headers or {}).get(HEADER) or self.request.get(HEADER)
        if found is None:
            raise NothingHeld(f"{self.name} costs credits: send it by charge().")
        return Hold.objects.get(pk=UUID(found))

    def _settle(self, hold: Hold) -> None:
        amount = self.request.get("credits_used")
        if amount == 0:
            self._release(hold)
            return
        try:
            holds.settle(hold=hold.pk, amount=hold.amount if amount is None else amount)
        except errors.HoldResolved as known:
            if known.state == HoldState.SETTLED:
                # A second delivery ran beside this one, and has paid.
                logger.info("job.settled_before", extra={"hold": str(hold.pk), "state": known.state})
            else:
                self._tell_unpaid(hold, known)
        except (errors.InsufficientCredits, errors.LimitReached, errors.FairUseReached) as refused:
            # The hold had expired, and its credits or its place below a limit went elsewhere.
            self._tell_unpaid(hold, refused)

    def _tell_unpaid(self, hold: Hold, refusal: errors.CreditsError) -> None:
        """The work is done; somebody has to look."""
        said = {"hold": str(hold.pk), "task": self.name, "reason": type(refusal).__name__}
        logger.error("job.unpaid", extra=vars(refusal) | said)

    def _release(self, hold: Hold) -> None:
        try:
            holds.release(hold=hold.pk)
        except errors.HoldResolved as known:
            logger.info("job.released_before", extra={"hold": str(hold.pk), "state": known.state})
