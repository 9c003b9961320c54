"""`Idempotency-Key`: a retried request does nothing again and gets the first answer again."""

import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from rest import callers, parsers, renderers
from rest.errors import IdempotencyKeyInProgress, IdempotencyKeyInvalid, IdempotencyKeyMissing, IdempotencyKeyReused
from rest.models import IdempotencyRecord

HEADER, IN_META = "Idempotency-Key", "HTTP_IDEMPOTENCY_KEY"
REPLAYED = "Idempotency-Replayed"
KEPT_HEADERS = ("Location", "Link")
VISIBLE = re.compile(r"[!-~]{1,255}")

Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])
Parts = ParamSpec("Parts")  # of the address


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One caller's key, and what was asked with it."""

    scope: str
    key: str
    fingerprint: bytes

    @property
    def lock_number(self) -> int:
        digest = hashlib.sha256(f"idempotency\0{self.scope}\0{self.key}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)


class _NotKept(Exception):
    """Rolls back what an answer that is no success came with, and carries the answer out."""

    def __init__(self, answer: HttpResponseBase) -> None:
        super().__init__()
        self.answer = answer


def idempotent(*, required: bool = True) -> Callable[[Handler], Handler]:
    """For a view's `post`: the claim of the key, the effect and the stored answer commit in one transaction.

    So a worker that dies leaves all or nothing, and whatever is refused leaves the key free. It cannot serve an act
    that calls a gateway: that act must commit its intent before the call (its `atomic(durable=True)` refuses to run in
    here), so its claim has to be committed with the intent, and its answer later: that is what `remembered` is for.

    A decorator rather than a mixin, since it must stand around the one method, inside DRF's handling of errors.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            claim = _claimed(request, required=required)
            if claim is None:
                return handler(view, request, *args, **kwargs)
            try:
                with transaction.atomic(durable=True):
                    return _answered_once(claim, lambda: handler(view, request, *args, **kwargs))
            except _NotKept as refusal:
                return refusal.answer

        return _takes_key(once, required=required)  # type: ignore[return-value]

    return decorate


def remembered(
    handler: Callable[Concatenate[Any, Request, Claim, Parts], HttpResponseBase],
) -> Callable[Concatenate[Any, Request, Parts], HttpResponseBase]:
    """For a `post` that calls a gateway: it is given the claim, commits it with its intent, and its answer is kept.

    Unlike `idempotent` it holds no lock meanwhile: the handler's own constraint decides between rivals, and what died
    after its intent is for the handler to find. It raises what it refuses, for only successes are kept.
    """

    @functools.wraps(handler)
    def once(view: Any, request: Request, /, *args: Parts.args, **kwargs: Parts.kwargs) -> HttpResponseBase:
        claim = _claimed(request, stranger=getattr(view, "stranger", None))
        assert claim is not None  # noqa: S101 - the key is required
        if (earlier := _stored_answer(claim)) is not None:
            return earlier
        answer = handler(view, request, claim, *args, **kwargs)
        _keep(claim, answer)
        return answer

    return _takes_key(once)


def replayed(answer: Response) -> Response:
    """An answer made again from what the first request did, whose own answer was never kept."""
    answer.headers[REPLAYED] = "true"
    return answer


def keyed(handler: Handler) -> Handler:
    """For a `post` whose act keeps the key with what it books, and finds it again by itself: only the API says so."""
    return _takes_key(handler)


def keyed_sometimes(handler: Handler) -> Handler:
    """For a `post` that may also be a mere look, which needs no key: only its act is `remembered`."""
    return _takes_key(handler, required=False)


def _takes_key(handler: Handler, *, required: bool = True) -> Handler:
    handler.idempotency_key_required = required  # type: ignore[attr-defined]  # rest.schema reads it
    return handler


def sent_key(request: Request) -> str | None:
    key: str | None = request._request.META.get(IN_META)  # `headers` would read all of them
    if key is not None and not VISIBLE.fullmatch(key):
        raise IdempotencyKeyInvalid
    return key


def _claimed(
    request: Request, *, required: bool = True, stranger: Callable[[Request], str] | None = None
) -> Claim | None:
    """The claim that this request makes; None when it sends no key and needs none. A view that serves strangers says
    by what it tells one from another."""
    key = sent_key(request)
    if key is None:
        if required:
            raise IdempotencyKeyMissing
        return None
    if request.auth is None and stranger is not None:
        who = hashlib.sha256(stranger(request).encode()).hexdigest()
        return Claim(scope=f"stranger {who}", key=key, fingerprint=_fingerprint(request, None))
    caller = callers.of(request)
    customer = caller.user.pk if caller.user else None
    return Claim(
        scope=f"{caller.identity} for {customer or 'nobody'}", key=key, fingerprint=_fingerprint(request, customer)
    )


def _fingerprint(request: Request, customer: int | None) -> bytes:
    """The same for the same wish: blanks and the order of names in the body count for nothing."""
    body = request.data if parsers.has_body(request._request) else None
    wish = [request.method, request.get_full_path(), customer, body]
    return hashlib.sha256(renderers.dumps_sorted(wish)).digest()


def _answered_once(claim: Claim, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    if not _try_lock(claim):
        raise IdempotencyKeyInProgress
    # A statement of its own: one that also took the lock would look with eyes from before it held it.
    if (earlier := _stored_answer(claim)) is not None:
        return earlier
    answer = act()
    if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - the successes of HTTP
        raise _NotKept(answer)
    _store(claim, answer)
    return answer


def _try_lock(claim: Claim) -> bool:
    """Held until the transaction ends, however it ends; a rival is told at once instead of waiting in a queue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [claim.lock_number])
        (won,) = cursor.fetchone()
    return bool(won)


def _stored_answer(claim: Claim) -> HttpResponse | None:
    """What the same request was answered before; a key that came with another one is refused."""
    since = timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS)
    record = IdempotencyRecord.objects.filter(scope=claim.scope, key=claim.key, created_at__gt=since).first()
    if record is None:
        return None
    if bytes(record.fingerprint) != claim.fingerprint:
        raise IdempotencyKeyReused
    headers = {**record.headers, REPLAYED: "true"}
    return HttpResponse(bytes(record.body), renderers.OrjsonRenderer.media_type, record.status, headers=headers)


@transaction.atomic
def _keep(claim: Claim, answer: HttpResponseBase) -> None:
    """Keep the answer of an act that committed its claim itself; who comes second leaves the first answer alone."""
    if _try_lock(claim) and _stored_answer(claim) is None:
        _store(claim, answer)


def _store(claim: Claim, answer: HttpResponseBase) -> None:
    values = {
        "fingerprint": claim.fingerprint,
        "status": answer.status_code,
        "body": renderers.dumps(answer.data) if isinstance(answer, Response) and answer.data is not None else b"",
        "headers": {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
        "created_at": timezone.now(),
    }
    # A record of yesterday may still wait for the purge.
    IdempotencyRecord.objects.filter(
        scope=claim.scope,
        key=claim.key,
        created_at__lte=timezone.now() - timedelta(hours=settings.IDEMPOTENCY_HOURS),
    ).delete()
    IdempotencyRecord.objects.create(scope=claim.scope, key=claim.key, **values)
