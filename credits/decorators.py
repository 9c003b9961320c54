"""Credits for work in Python: `with credits_hold(...)` around it, `@costs_credits(...)` on a view that does it.

In both the credits are held before the work starts, so that two pieces of work cannot count on the same ones, and used
when it is done. If the process dies in between, the hold expires and the sweep gives it back.
"""

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from psycopg.pq import TransactionStatus
from rest_framework.request import Request

from credits import errors, holds
from credits.models import Hold, HoldState
from credits.usage import Spent
from ledger import ids
from rest import callers

logger = logging.getLogger(__name__)
FIRST_FAILURE = 400  # of HTTP's statuses

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer", bound=HttpResponseBase)


class WorkHold:
    """What is held for a piece of work. Say `use(amount)` when it took less; it is used or given back at the end."""

    def __init__(self, *, held: holds.Held, user: User) -> None:
        self.id: UUID = held.id
        self.amount = held.amount
        self.user = user
        self.spent: Spent | None = None
        self._used: int | None = None
        self._is_over = False

    def use(self, amount: int) -> None:
        """What the work took, up to what is held; 0 for nothing at all."""
        if type(amount) is not int or not 0 <= amount <= self.amount:
            raise errors.InvalidUse("amount", f"Between 0 and the {self.amount} that are held can be used.")
        self._used = amount

    def settle(self) -> None:
        """The work is done. The second call does nothing."""
        if self._is_over:
            return
        if self._used == 0:
            self.release()
            return
        # Given in any case: without it the act would read the hold first.
        amount = self.amount if self._used is None else self._used
        self.spent = holds.settle(hold=self.id, amount=amount, user=self.user)
        self._is_over = True

    def release(self) -> None:
        """The work is not done. Never hides the exception that it failed with: what stays held expires by itself."""
        if self._is_over:
            return
        self._is_over = True
        if _is_doomed():
            return  # the transaction in which it was held is rolled back, and the hold with it
        try:
            holds.release(hold=self.id, user=self.user)
        except (DatabaseError, errors.CreditsError) as problem:
            logger.warning("hold.not_released", extra={"hold": str(self.id), "reason": type(problem).__name__})


@contextmanager
def credits_hold(
    user: User,
    action: str | None = None,
    *,
    amount: int | None = None,
    quantity: int | None = None,
    unit: str | None = None,
    reference: Any = "",
    key: str | None = None,
    seconds: int | None = None,
) -> Iterator[WorkHold]:
    """Hold what an action costs (at most), or an amount, while the block runs; then use it.

    It raises InsufficientCredits before the block starts, and gives all back when the block raises. Outside of a
    transaction the hold is committed at once and visible to everybody. Inside one it is part of it: a rollback undoes
    the hold and the spend with everything else, a commit keeps all of it, and until then the customer's other spends
    wait; so keep long work out of transactions.

    Without `key` each block is a use of its own. With one, a block that ran to its end is refused with HoldResolved.
    """
    held = holds.reserve(
        user=user,
        key=key or f"work:{ids.uuid7()}",
        action=action,
        amount=amount,
        quantity=quantity,
        unit=unit,
        reference=str(reference),
        seconds=seconds,
    )
    if held.is_replay:
        _refuse_what_is_over(held.id)
    hold = WorkHold(held=held, user=user)
    try:
        yield hold
    except BaseException:
        hold.release()
        raise
    hold.settle()


def costs_credits(
    action: str | None = None, *, amount: int | None = None, quantity: int | None = None, unit: str | None = None
) -> Callable[
    [Callable[Concatenate[Any, Parameters], Answer]], Callable[Concatenate[Any, Parameters], HttpResponseBase]
]:
    """For a view, plain or DRF's (there on its `post` method): who calls it pays what the action costs.

    Held before the view runs, and then charged for an answer below 400: never for an error, its own or the caller's,
    and never for an exception. A streamed answer is charged at its end, or when its reader leaves after it began; a
    stream that breaks costs nothing. The view finds the hold as `request.credits_hold`, and says there what it used.

    Each call is a use of its own, also with the same Idempotency-Key. Where a retry must not pay twice put
    `@idempotent()` above: it answers the retry before this is reached.
    """

    def decorate(view: Callable[..., Answer]) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def charged(*args: Any, **kwargs: Any) -> HttpResponseBase:
            request = next(each for each in args if isinstance(each, HttpRequest | Request))
            return charge(
                request,
                payer(request),
                lambda: view(*args, **kwargs),
                action=action,
                amount=amount,
                quantity=quantity,
                unit=unit,
            )

        return charged

    return decorate


def payer(request: HttpRequest | Request) -> User:
    """The customer of a DRF view, or of a plain one behind Django's login or this app's middleware."""
    if isinstance(request, Request):
        return callers.customer(request)
    user = getattr(request, "credits_payer", None) or getattr(request, "user", None)
    if not isinstance(user, User):
        raise callers.CustomerRequired
    return user


def charge(
    request: Any, user: User, view: Callable[[], HttpResponseBase], *, reference: str = "", **use: Any
) -> HttpResponseBase:
    """Answer with what the view answers, charged for if it is a success."""
    request.credits_payer = user  # whom the refusal of a plain view is for
    held = holds.reserve(user=user, key=f"view:{ids.uuid7()}", reference=reference, **use)
    request.credits_hold = hold = WorkHold(held=held, user=user)
    try:
        response = view()
    except BaseException:
        hold.release()
        raise
    if response.status_code >= FIRST_FAILURE:
        hold.release()
    elif isinstance(response, StreamingHttpResponse) and not response.is_async:
        response.streaming_content = _ChargedStream(response.streaming_content, hold)
    else:
        hold.settle()
    return response


class _ChargedStream:
    """Charges at the end of a stream. Django closes it in any case, also when nobody ever read from it."""

    def __init__(self, content: Any, hold: WorkHold) -> None:
        self._content = iter(content)
        self._hold = hold
        self._has_begun = False

    def __iter__(self) -> "_ChargedStream":
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._content)
        except StopIteration:
            self._hold.settle()
            raise
        except BaseException:
            self._hold.release()
            raise
        self._has_begun = True
        return chunk

    def close(self) -> None:
        if self._has_begun:
            self._hold.settle()
        else:
            self._hold.release()


def _refuse_what_is_over(hold: UUID) -> None:
    state = Hold.objects.values_list("state", flat=True).get(pk=hold)
    if state != HoldState.OPEN:
        raise errors.HoldResolved(state=state)


def _is_doomed() -> bool:
    """Whether nothing can be written any more, because the transaction we are in has failed."""
    if not connection.in_atomic_block:
        return False
    broken: bool = connection.connection.info.transaction_status is TransactionStatus.INERROR
    return connection.needs_rollback or broken
