"""The kinds of problem that several exceptions share, and what a kind is."""

from dataclasses import dataclass


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
KEY_REUSED = Problem(
    status=422, title="Idempotency key reused", meaning="The same key came with another request before."
)

# The nearest ancestor found here describes an exception. Its own class name, or DRF's code, is the problem's code.
