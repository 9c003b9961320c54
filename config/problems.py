"""Every refusal and fault as an RFC 9457 problem: one table of exception classes, and the handlers that read it."""

import logging
import math
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.contrib.auth.models import User
from django.core import exceptions as django_errors
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.http import Http404, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf
from rest_framework.settings import api_settings

from billing import errors as billing
from config import offers
from credits import errors as credit
from events import errors as telling
from events.stream.hub import TooManyStreams
from ledger import errors as books
from rest import callers, requestid, signing_keys
from rest import errors as rest
from wallets import errors as wallet

logger = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """How a class of exceptions is told to the caller."""

    status: int
    title: str
    meaning: str  # for the page of problems
    detail: str = ""  # said instead of the exception's own words, where those are not ours to show
    facts: tuple[str, ...] = ()  # attributes of the exception that are copied into the body
    retry: bool = False  # worth trying again as it is: carries Retry-After


AWAY = Problem(
    status=503,
    title="Service unavailable",
    meaning="The database cannot be reached. Nothing was done; try again after Retry-After seconds.",
    detail="The database cannot be reached at the moment. Try again shortly.",
    retry=True,
)
BUSY = Problem(
    status=503,
    title="Too busy",
    meaning="Others hold what this request needs, or it took too long. Nothing was done; try again.",
    detail="The database was too busy to finish this. Nothing was done; try again shortly.",
    retry=True,
)
FAULT = Problem(
    status=500,
    title="Internal error",
    meaning="A mistake of ours, which is in our logs. The request id helps us to find it.",
    detail="Something went wrong on our side. Please quote the request id when you report it.",
)
INVALID = Problem(
    status=400,
    title="Invalid request",
    meaning="Fields or query parameters are wrong; errors names each one by its dotted path.",
)
NOT_FOUND = Problem(
    status=404,
    title="Not found",
    meaning="There is nothing at this address, or it is not yours.",
    detail="There is nothing here.",
)
FORBIDDEN = Problem(
    status=403,
    title="Permission denied",
    meaning="We know who you are, and you may not do this.",
    detail="You may not do this.",
)

# The nearest ancestor found here describes an exception. Its own class name, or DRF's code, is the problem's code.
PROBLEMS: dict[type[BaseException], Problem] = {
    rest.RestError: Problem(status=400, title="Refused", meaning="The request cannot be served as it is."),
    rest.MalformedBody: Problem(status=400, title="Malformed body", meaning="The body is not strict JSON in UTF-8."),
    rest.BodyTooLarge: Problem(
        status=413, title="Body too large", meaning="The body is over the limit.", facts=("limit_bytes",)
    ),
    rest.InvalidCursor: Problem(status=400, title="Invalid cursor", meaning="The page cursor is broken."),
    rest.IdempotencyKeyMissing: Problem(
        status=400, title="Idempotency key missing", meaning="This act needs an Idempotency-Key header."
    ),
    rest.IdempotencyKeyInvalid: Problem(
        status=400, title="Idempotency key invalid", meaning="The key is empty, too long or not plain ASCII."
    ),
    rest.IdempotencyKeyReused: Problem(
        status=422, title="Idempotency key reused", meaning="The same key came with another request before."
    ),
    rest.IdempotencyKeyInProgress: Problem(
        status=409, title="Idempotency key in progress", meaning="The first request is still running.", retry=True
    ),
    books.LedgerError: Problem(
        status=409, title="Refused by the books", meaning="The books cannot do this as they stand."
    ),
    books.InvalidAmount: Problem(status=400, title="Invalid amount", meaning="An amount is a whole, positive number."),
    books.UnknownUnit: Problem(status=400, title="Unknown unit", meaning="Neither a currency nor a credit unit."),
    books.UnitMismatch: Problem(status=400, title="Unit mismatch", meaning="Two units were mixed; nothing converts."),
    wallet.WalletsError: Problem(status=409, title="Refused", meaning="The wallet cannot do this as it stands."),
    wallet.InvalidValue: Problem(
        status=400, title="Invalid value", meaning="A part of what was asked cannot be recorded.", facts=("field",)
    ),
    wallet.UnknownSaleType: Problem(
        status=400, title="Unknown type of sale", meaning="No sale is of this type.", facts=("known_types",)
    ),
    wallet.UnknownSellerKind: Problem(
        status=400, title="Unknown kind of seller", meaning="No seller is of this kind.", facts=("known_kinds",)
    ),
    wallet.BelowMinimum: Problem(
        status=400, title="Below the minimum", meaning="The amount is too small.", facts=("minimum", "currency")
    ),
    wallet.DailyMaximumReached: Problem(
        status=403,
        title="Daily maximum reached",
        meaning="More than may be withdrawn in a day (UTC); left says how much is left today.",
        facts=("maximum", "left", "currency"),
    ),
    wallet.InsufficientFunds: Problem(
        status=402,
        title="Not enough money",
        meaning="More than is available; upcoming says what becomes available when.",
        facts=("needed", "available", "missing", "currency", "upcoming"),
    ),
    wallet.SellerCannotCover: Problem(
        status=409,
        title="The seller cannot cover it",
        meaning="The seller has withdrawn it, and the sale's rule refuses then; an operator may decide otherwise.",
        facts=("missing", "currency"),
    ),
    wallet.WithdrawalOpen: Problem(
        status=409,
        title="A withdrawal is open",
        meaning="Only one withdrawal of a wallet may be open at a time.",
        facts=("withdrawal",),
    ),
    wallet.WithdrawalState: Problem(
        status=409, title="Too late", meaning="The withdrawal has moved on already.", facts=("withdrawal_status",)
    ),
    wallet.NotYours: NOT_FOUND,
    wallet.KeyReused: Problem(
        status=422, title="Idempotency key reused", meaning="The same key came with another request before."
    ),
    credit.CreditsError: Problem(status=400, title="Refused", meaning="What was asked of the credits cannot be done."),
    credit.InsufficientCredits: Problem(
        status=402,
        title="Not enough credits",
        meaning="The customer has too few credits for this; missing says how many more it takes.",
        facts=("needed", "available", "missing", "unit"),
    ),
    credit.LimitReached: Problem(
        status=403,
        title="Limit reached",
        meaning="A daily or monthly limit of the customer or of the service token would be exceeded.",
        facts=("kind", "limit", "resets_at"),
    ),
    credit.FairUseReached: Problem(
        status=403,
        title="Fair use reached",
        meaning="Unlimited use has a fair share for each month, and this month's is used.",
        facts=("limit", "resets_at"),
    ),
    credit.HoldResolved: Problem(
        status=409, title="Hold resolved", meaning="The hold is over already; state says how.", facts=("state",)
    ),
    credit.HoldExceeded: Problem(
        status=409, title="Hold exceeded", meaning="More was to be settled than is held.", facts=("held",)
    ),
    credit.SpendExceeded: Problem(
        status=409, title="Spend exceeded", meaning="More was to be given back than is left of it.", facts=("left",)
    ),
    credit.GrantClosed: Problem(
        status=409, title="Grant closed", meaning="The grant is used up, expired or revoked.", facts=("state",)
    ),
    credit.KeyReused: Problem(
        status=422, title="Idempotency key reused", meaning="The same key came with another request before."
    ),
    credit.InvalidUse: Problem(
        status=400, title="Invalid use", meaning="A value is wrong; field says which.", facts=("field",)
    ),
    credit.NotYours: NOT_FOUND,
    telling.EventsError: Problem(status=409, title="Refused", meaning="What was asked of the events cannot be done."),
    telling.AddressRefused: Problem(
        status=400, title="Address refused", meaning="Deliveries do not go to this address; detail says why."
    ),
    telling.EndpointDisabled: Problem(
        status=409, title="Endpoint disabled", meaning="Nothing is sent to a disabled endpoint; enable it first."
    ),
    telling.DeliveryUnderWay: Problem(
        status=409, title="Delivery under way", meaning="It is being sent right now; see what comes of it.", retry=True
    ),
    telling.TooManyEndpoints: Problem(
        status=409, title="Too many endpoints", meaning="There are as many as there may be.", facts=("most",)
    ),
    signing_keys.KeysUnavailable: Problem(
        status=503, title="Keys unavailable", meaning="The auth service does not tell us its keys.", retry=True
    ),
    credit.UnknownAction: Problem(
        status=400,
        title="Unknown action",
        meaning="The cost table has no such action; known_actions are those it has.",
        facts=("known_actions",),
    ),
    credit.UnknownPack: Problem(status=400, title="Unknown pack", meaning="No pack on sale has this code."),
    credit.PriceMissing: Problem(
        status=400,
        title="Price missing",
        meaning="The pack is not sold in this currency; known_currencies are those it is sold in.",
        facts=("known_currencies",),
    ),
    credit.AmountNotAllowed: Problem(
        status=400, title="Amount not allowed", meaning="The cost table decides what this action costs."
    ),
    credit.AmountRequired: Problem(
        status=400,
        title="Amount required",
        meaning="The action costs between minimum and maximum; say how much.",
        facts=("minimum", "maximum"),
    ),
    credit.AmountOutOfRange: Problem(
        status=400,
        title="Amount out of range",
        meaning="The amount must be between minimum and maximum.",
        facts=("minimum", "maximum"),
    ),
    credit.QuantityRequired: Problem(
        status=400, title="Quantity required", meaning="The action is charged per unit; say how many."
    ),
    credit.QuantityNotAllowed: Problem(
        status=400, title="Quantity not allowed", meaning="The action is charged by amount, not by quantity."
    ),
    credit.QuantityOutOfRange: Problem(
        status=400,
        title="Quantity out of range",
        meaning="The quantity must be between 1 and maximum.",
        facts=("maximum",),
    ),
    credit.AmountNotPayable: Problem(
        status=400,
        title="Amount not payable",
        meaning="A gateway of this currency cannot take this amount; nearest are amounts that all can take.",
        facts=("nearest",),
    ),
    TooManyStreams: Problem(
        status=429,
        title="Too many streams",
        meaning="The customer has as many streams open as one may have; close one first.",
        detail="As many streams of this customer are open as one may have.",
        retry=True,
    ),
    billing.BillingError: Problem(status=409, title="Refused", meaning="Billing refuses this as things stand."),
    billing.NotYours: NOT_FOUND,
    billing.PayoutNotOpen: Problem(
        status=409,
        title="Nothing to find out",
        meaning="How this withdrawal ended is known.",
        facts=("withdrawal_status",),
    ),
    billing.PayoutNotSent: Problem(
        status=409, title="Not sent yet", meaning="No gateway knows of this withdrawal yet."
    ),
    billing.AmountNotYours: Problem(
        status=400, title="Amount not yours", meaning="Buyers name what they buy; the catalogue says what it costs."
    ),
    billing.ReturnUrlRefused: Problem(
        status=400,
        title="Return address refused",
        meaning="Buyers are only sent to hosts that the shop has named; field says which address is meant.",
        facts=("field", "allowed_hosts"),
    ),
    billing.PhoneInvalid: Problem(
        status=400, title="Invalid telephone number", meaning="A number is sent in international form."
    ),
    billing.UnknownGateways: Problem(
        status=400, title="Unknown gateway", meaning="There is no such gateway.", facts=("known_gateways",)
    ),
    billing.NoGatewayTakesIt: Problem(
        status=422,
        title="No gateway takes it",
        meaning="Each gateway has a reason why it cannot take this payment; reasons has them.",
        facts=("reasons",),
    ),
    billing.GatewaysDown: Problem(
        status=503,
        title="Gateways down",
        meaning="No gateway that could take this payment answers. Nothing was charged; try again.",
        facts=("reasons",),
        retry=True,
    ),
    billing.UnknownCoupon: Problem(
        status=400, title="Unknown coupon", meaning="No coupon that can be used has this code."
    ),
    billing.CouponExpired: Problem(status=409, title="Coupon expired", meaning="The coupon's time is over."),
    billing.CouponUsedUp: Problem(
        status=409, title="Coupon used up", meaning="The coupon has been used as often as it can be."
    ),
    billing.CouponUsedByYou: Problem(
        status=409,
        title="Coupon used by you",
        meaning="The customer has used it as often as one may; payment names one with it that is not over yet.",
        facts=("payment",),
    ),
    billing.CouponFirstPurchaseOnly: Problem(
        status=409, title="First purchase only", meaning="The coupon is for customers who have bought nothing yet."
    ),
    billing.CouponNotForThis: Problem(
        status=400, title="Coupon not for this", meaning="The coupon is for other things than what is bought."
    ),
    billing.CouponCurrency: Problem(
        status=400,
        title="Coupon not in this currency",
        meaning="The coupon takes amounts off, and none of this currency; known_currencies says of which.",
        facts=("known_currencies",),
    ),
    billing.CouponNeedsPurchase: Problem(
        status=400, title="Coupon needs a purchase", meaning="The coupon goes with a checkout, not alone."
    ),
    billing.DiscountNotPayable: Problem(
        status=422,
        title="Discount not payable",
        meaning="What the discount leaves is an amount that no gateway takes; nearest_amounts says which they would.",
        facts=("amount", "currency", "nearest_amounts", "reasons"),
    ),
    billing.CouponInvalid: Problem(
        status=400, title="Coupon invalid", meaning="The coupon that is to be made contradicts itself."
    ),
    billing.CouponOver: Problem(status=409, title="Coupon over", meaning="The coupon is stopped already."),
    billing.PaymentOver: Problem(
        status=409, title="Payment over", meaning="The payment has ended; state says how.", facts=("state",)
    ),
    billing.CannotCancel: Problem(
        status=409,
        title="Cannot cancel",
        meaning="The gateway cannot take the payment back; left unpaid, it ends by itself.",
        facts=("gateway",),
    ),
    billing.GatewaySilent: Problem(
        status=503,
        title="Gateway silent",
        meaning="The gateway does not answer. Nothing was changed; try again.",
        facts=("gateway",),
        retry=True,
    ),
    billing.NotRefundable: Problem(
        status=409, title="Not refundable", meaning="Nothing was paid, or nothing is left of it.", facts=("state",)
    ),
    billing.RefundTooLarge: Problem(
        status=422,
        title="Refund too large",
        meaning="More than is left of the payment; refundable is what is left, refunds under way taken off.",
        facts=("refundable", "currency"),
    ),
    billing.CreditsSpent: Problem(
        status=409,
        title="Credits spent",
        meaning="The policy wants credits back that are spent; refundable is what it allows.",
        facts=("missing", "refundable"),
    ),
    billing.DisputeOpen: Problem(
        status=409,
        title="Dispute open",
        meaning="The buyer's bank decides about this money; a refund could pay it twice.",
        facts=("dispute",),
    ),
    billing.UnknownPlan: Problem(status=400, title="Unknown plan", meaning="No plan on sale has this code."),
    billing.PlanPriceMissing: Problem(
        status=400,
        title="Plan price missing",
        meaning="The plan is not sold in this currency by this interval; known_prices says in which ways it is.",
        facts=("known_prices",),
    ),
    billing.SubscriptionLive: Problem(
        status=409,
        title="Subscription live",
        meaning="The customer has a subscription of this catalogue already; subscription names it.",
        facts=("subscription", "plan", "state"),
    ),
    billing.SubscriptionAmbiguous: Problem(
        status=400,
        title="Subscription ambiguous",
        meaning="The customer has several; catalogue says which is meant.",
        facts=("catalogues",),
    ),
    billing.SamePrice: Problem(
        status=409, title="Same price", meaning="The subscription has this plan at this price already."
    ),
    billing.SubscriptionState: Problem(
        status=409,
        title="Subscription state",
        meaning="The subscription is in a state in which this cannot be done.",
        facts=("state",),
    ),
    billing.ChangeNotNow: Problem(
        status=409, title="Change not now", meaning="This change can only begin with the next period."
    ),
    billing.TaxRateUnknown: Problem(
        status=409,
        title="Tax rate unknown",
        meaning="Nobody has told us the tax rate of this country yet; an operator adds it. Nothing was charged.",
        facts=("country",),
    ),
    billing.NotInvoiced: Problem(
        status=409, title="Not invoiced", meaning="Only what was paid to us is invoiced, and only refunds are credited."
    ),
    billing.NotRendered: Problem(
        status=409, title="Not rendered yet", meaning="The document is being made; ask again in a moment."
    ),
    billing.ReasonMissing: Problem(status=400, title="Reason missing", meaning="This act needs a reason or a proof."),
    billing.TopUpOff: Problem(
        status=404, title="Top-up off", meaning="The customer has no automatic top-up: they never agreed, or withdrew."
    ),
    billing.NoSavedMethod: Problem(
        status=409,
        title="No saved method",
        meaning="No card is kept that could be charged; a checkout with save_method keeps one.",
    ),
    billing.CapTooLow: Problem(
        status=422,
        title="Cap too low",
        meaning="The monthly cap is less than one pack costs; price is what it costs.",
        facts=("price", "currency"),
    ),
    billing.ThresholdTooHigh: Problem(
        status=422,
        title="Threshold too high",
        meaning="The pack brings fewer credits than the threshold; most is what it brings.",
        facts=("most",),
    ),
    drf.APIException: FAULT,
    drf.ValidationError: INVALID,
    drf.ParseError: Problem(status=400, title="Unreadable request", meaning="The request cannot be read."),
    drf.NotAuthenticated: Problem(
        status=401, title="Credentials needed", meaning="Send a bearer token in the Authorization header."
    ),
    drf.AuthenticationFailed: Problem(
        status=401, title="Credentials refused", meaning="The credentials are wrong, expired or revoked."
    ),
    drf.PermissionDenied: FORBIDDEN,
    drf.NotFound: NOT_FOUND,
    drf.MethodNotAllowed: Problem(
        status=405, title="Method not allowed", meaning="The address exists; the Allow header says what it takes."
    ),
    drf.NotAcceptable: Problem(status=406, title="Not acceptable", meaning="We answer in JSON only."),
    drf.UnsupportedMediaType: Problem(
        status=415, title="Unsupported media type", meaning="Bodies are application/json in UTF-8, not compressed."
    ),
    drf.Throttled: Problem(
        status=429, title="Too many requests", meaning="The limit is reached; wait for Retry-After seconds.", retry=True
    ),
    Http404: NOT_FOUND,
    django_errors.ObjectDoesNotExist: NOT_FOUND,
    django_errors.PermissionDenied: FORBIDDEN,
    django_errors.ValidationError: INVALID,
    django_errors.BadRequest: Problem(
        status=400, title="Bad request", meaning="The request cannot be read.", detail="The request cannot be read."
    ),
    django_errors.SuspiciousOperation: Problem(
        status=400, title="Bad request", meaning="The request looks forged.", detail="The request cannot be served."
    ),
    django_errors.RequestDataTooBig: Problem(
        status=413, title="Body too large", meaning="The body is over the limit.", detail="The body is too large."
    ),
    MultiPartParserError: Problem(
        status=400, title="Bad request", meaning="The form cannot be read.", detail="The form cannot be read."
    ),
    UnreadablePostError: Problem(
        status=400, title="Bad request", meaning="The body broke off.", detail="The body broke off before its end."
    ),
    OperationalError: AWAY,
    InterfaceError: AWAY,
    psycopg.OperationalError: AWAY,
    psycopg.InterfaceError: AWAY,
    psycopg.errors.LockNotAvailable: BUSY,
    psycopg.errors.QueryCanceled: BUSY,
    psycopg.errors.DeadlockDetected: BUSY,
    psycopg.errors.SerializationFailure: BUSY,
    Exception: FAULT,
}
# Kinds that are no name of their own class: what callers see must not tell which library we use.
CODES: dict[type[BaseException], str] = {
    Exception: "internal_error",
    drf.APIException: "internal_error",
    drf.ValidationError: "validation_error",
    credit.NotYours: "not_found",
    wallet.NotYours: "not_found",
    wallet.KeyReused: "idempotency_key_reused",
    billing.NotYours: "not_found",
    credit.KeyReused: "idempotency_key_reused",
    Http404: "not_found",
    django_errors.ObjectDoesNotExist: "not_found",
    django_errors.SuspiciousOperation: "bad_request",
    django_errors.RequestDataTooBig: "body_too_large",
    MultiPartParserError: "bad_request",
    UnreadablePostError: "bad_request",
    OperationalError: "service_unavailable",
    InterfaceError: "service_unavailable",
    psycopg.OperationalError: "service_unavailable",
    psycopg.InterfaceError: "service_unavailable",
    psycopg.errors.LockNotAvailable: "database_busy",
    psycopg.errors.QueryCanceled: "database_busy",
    psycopg.errors.DeadlockDetected: "database_busy",
    psycopg.errors.SerializationFailure: "database_busy",
}


def kinds() -> list[tuple[str, Problem]]:
    """Each documented kind of problem once, by its name; what /problems lists and `type` points at."""
    found = {_name_of(known): problem for known, problem in PROBLEMS.items()}
    return sorted(found.items())


# ---------------------------------------------------------------- from an exception to an answer


def answer(error: BaseException, user: User | None = None) -> HttpResponse:
    """The problem that tells the caller about this exception; faults of ours are logged here, with their trace.

    With `user`, the customer, a lack of credits names a pack in their own currency.
    """
    known = _nearest(error)
    problem = PROBLEMS[known]
    status = error.status_code if isinstance(error, drf.APIException) else problem.status
    body: dict[str, Any] = {
        "type": f"/problems#{_name_of(known)}",
        "title": problem.title,
        "status": status,
        "detail": _detail(error, problem),
        "code": _code(error, known),
    }
    if request_id := requestid.current():
        body["request_id"] = request_id
    if problem is INVALID:
        body["errors"] = list(_field_errors(error))
    body |= {name: getattr(error, name) for name in problem.facts}
    if isinstance(error, credit.InsufficientCredits):
        body |= offers.for_lack(error, user)
    headers = _headers(error, problem)
    if "Retry-After" in headers:
        body["retry_after_seconds"] = int(headers["Retry-After"])
    response = HttpResponse(orjson.dumps(body, default=str), CONTENT_TYPE, status, headers=headers)
    if problem is AWAY and (isinstance(error, PoolTimeout) or isinstance(error.__cause__, PoolTimeout)):
        response.waited_in_vain = True  # type: ignore[attr-defined]  # for the gate: who comes next need not wait too
    elif problem is AWAY:
        _replace_broken_connections()
    if status >= 500:  # noqa: PLR2004 - the first status that is our fault
        _log(error, response)
    return response


def _nearest(error: BaseException) -> type[BaseException]:
    # Django wraps the driver's exception, which alone tells a lock timeout from a server that is gone.
    driver = error.__cause__
    if isinstance(error, DatabaseError | InterfaceError) and isinstance(driver, psycopg.Error):
        for ancestor in type(driver).__mro__:
            if ancestor in PROBLEMS and ancestor is not Exception:
                return ancestor
    return next(ancestor for ancestor in type(error).__mro__ if ancestor in PROBLEMS or ancestor is Exception)


def _name_of(known: type[BaseException]) -> str:
    return CODES.get(known) or _snake_case(known.__name__)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _code(error: BaseException, known: type[BaseException]) -> str:
    if isinstance(error, drf.APIException) and not isinstance(error, drf.ValidationError):
        code = error.get_codes()
        return code if isinstance(code, str) and known is not drf.APIException else _name_of(known)
    if known in CODES:
        return CODES[known]
    return _snake_case(type(error).__name__)


def _detail(error: BaseException, problem: Problem) -> str:
    if problem is INVALID:
        number = sum(1 for _ in _field_errors(error))
        return "One value is wrong; see errors." if number == 1 else f"{number} values are wrong; see errors."
    if isinstance(error, drf.APIException) and type(error) is not drf.APIException:
        return str(error.detail)
    return problem.detail or str(error) or problem.meaning


def _headers(error: BaseException, problem: Problem) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if problem.retry:
        wait = getattr(error, "retry_after_seconds", None) or getattr(error, "wait", None)
        headers["Retry-After"] = str(max(1, math.ceil(wait or settings.UNAVAILABLE_RETRY_AFTER_SECONDS)))
    return headers


def _field_errors(error: BaseException) -> Iterator[dict[str, str]]:
    if isinstance(error, drf.ValidationError):
        yield from _flattened(error.get_full_details(), ())
    elif isinstance(error, django_errors.ValidationError):
        found = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
        for field, mistakes in found.items():
            for mistake in mistakes:
                path = () if field in ("", django_errors.NON_FIELD_ERRORS) else (field,)
                yield _field_error(path, " ".join(mistake.messages), mistake.code or "invalid")


def _flattened(details: Any, path: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """DRF's nested details as a flat list; an empty path means the body as a whole."""
    if isinstance(details, Mapping) and details.keys() == {"message", "code"} and isinstance(details["code"], str):
        yield _field_error(path, str(details["message"]), details["code"])
    elif isinstance(details, Mapping):
        for name, inner in details.items():
            own = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _flattened(inner, path if own else (*path, str(name)))
    else:
        for position, inner in enumerate(details):
            nested = isinstance(inner, Mapping) and inner.keys() != {"message", "code"}
            yield from _flattened(inner, (*path, str(position)) if nested else path)


def _field_error(path: tuple[str, ...], message: str, code: str) -> dict[str, str]:
    return {"field": ".".join(path), "message": message, "code": code}


def _log(error: BaseException, response: HttpResponse) -> None:
    if response.status_code == FAULT.status:
        logger.error("request.failed", exc_info=error)
    else:
        logger.warning("request.unavailable", extra={"reason": type(error.__cause__ or error).__name__})
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django logs it again, without the trace


# ---------------------------------------------------------------- a database that went away

_checking = threading.Lock()


def _replace_broken_connections() -> None:
    """After a restart of the database every pooled connection is dead; without this each would fail one request."""
    if not _checking.acquire(blocking=False):
        return
    try:
        for alias in connections:
            pool = getattr(connections[alias], "pool", None)
            if pool is not None and not pool.closed:
                pool.check()
    finally:
        _checking.release()


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """DRF's EXCEPTION_HANDLER: everything that a view of the API raises ends here."""
    # Not request.auth: asking for it would authenticate again a request whose credentials were just refused.
    caller = getattr(context.get("request"), "_auth", None)
    return answer(error, caller.user if isinstance(caller, callers.Caller) else None)
