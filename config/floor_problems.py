"""How the refusals of the floors below billing are told: of the API itself, the books, credits, wallets and events."""

from config.problem_kinds import KEY_REUSED, NOT_FOUND, Problem
from credits import errors as credit
from events import errors as telling
from events.stream.hub import TooManyStreams
from ledger import errors as books
from rest import errors as rest
from rest import signing_keys
from wallets import errors as wallet

OF_THE_FLOORS: dict[type[BaseException], Problem] = {
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
    rest.IdempotencyKeyReused: KEY_REUSED,
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
    wallet.KeyReused: KEY_REUSED,
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
    credit.KeyReused: KEY_REUSED,
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
}
