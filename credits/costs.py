"""What an action costs: the version of the cost table valid at an instant, and the price it makes."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from credits import errors, versions
from credits.models import Cost, CostKind
from ledger.money import LARGEST_MINOR, Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All that a version of an action's cost says; two versions with equal terms are the same cost."""

    catalogue: str
    kind: str
    label_en: str
    amount: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    unit: str = "CREDIT"
    real_cost_micros: int | None = None
    real_cost_currency: str = ""
    label_fr: str = ""
    url_pattern: str = ""
    is_active: bool = True


# ---------------------------------------------------------------- the table, kept in the process for a few seconds


@dataclass(frozen=True, slots=True)
class _Table:
    """Every version, planned ones too: the choice by date is made at each call, so that a plan begins on the second."""

    versions: dict[str, list[Cost]]  # by action, the newest first
    stale_at: float  # by time.monotonic()

    def at(self, action: str, moment: datetime) -> Cost | None:
        for version in self.versions.get(action, ()):
            if version.valid_from <= moment:
                return version if version.is_active else None
        return None


_kept: _Table | None = None


def forget() -> None:
    """Read the table anew at the next call; other processes do so within COSTS_CACHE_SECONDS."""
    global _kept  # noqa: PLW0603 - one table for the process, replaced as a whole
    _kept = None


def _table() -> _Table:
    global _kept  # noqa: PLW0603
    table = _kept
    if table is None or time.monotonic() >= table.stale_at:
        found: dict[str, list[Cost]] = {}
        for version in Cost.objects.order_by("action", "-valid_from"):
            found.setdefault(version.action, []).append(version)
        table = _kept = _Table(found, time.monotonic() + settings.COSTS_CACHE_SECONDS)
    return table


def find(action: str, at: datetime | None = None) -> Cost:
    """The version of this action's cost that is valid now, or was (or will be) at that instant."""
    moment = at or timezone.now()
    cost = _table().at(action, moment)
    if cost is None:
        raise errors.UnknownAction(action, [known.action for known in current(moment)])
    return cost


def current(at: datetime | None = None) -> list[Cost]:
    """Every action that can be spent on, in order of its name."""
    table, moment = _table(), at or timezone.now()
    return [cost for action in sorted(table.versions) if (cost := table.at(action, moment))]


# ---------------------------------------------------------------- from a cost to a price


def price(cost: Cost, *, quantity: int | None = None, amount: int | None = None) -> Money:
    """What is taken for doing it: the fixed amount for each time (once when unsaid), the amount for each of the units
    (which must be said), or the amount given, within the range."""
    match CostKind(cost.kind):
        case CostKind.BETWEEN:
            return _within(cost, quantity, amount)
        case CostKind.PER_UNIT if quantity is None and amount is None:
            raise errors.QuantityRequired(cost.action)
        case _:
            if amount is not None:
                raise errors.AmountNotAllowed(cost.action)
            return _multiplied(cost, 1 if quantity is None else quantity)


def ceiling(cost: Cost, *, quantity: int | None = None, amount: int | None = None) -> Money:
    """What to hold before the price is known: the maximum of a range, else the price itself."""
    if cost.kind == CostKind.BETWEEN and quantity is None and amount is None:
        return Money(cost.most, cost.unit)
    return price(cost, quantity=quantity, amount=amount)


def _within(cost: Cost, quantity: int | None, amount: int | None) -> Money:
    if quantity is not None:
        raise errors.QuantityNotAllowed(cost.action)
    if amount is None:
        raise errors.AmountRequired(cost.action, cost.least, cost.most)
    if not cost.least <= amount <= cost.most:
        raise errors.AmountOutOfRange(cost.action, cost.least, cost.most)
    return Money(amount, cost.unit)


def _multiplied(cost: Cost, quantity: int) -> Money:
    most = LARGEST_MINOR // cost.least
    if not 1 <= quantity <= most:
        raise errors.QuantityOutOfRange(cost.action, most)
    return Money(cost.least * quantity, cost.unit)


# ---------------------------------------------------------------- new versions


@transaction.atomic
def revise(*, action: str, terms: Terms, valid_from: datetime | None = None, by: User | None = None) -> Cost:
    """A new version of an action's cost, valid from now or from a later instant. An action keeps its catalogue."""
    versions.lock(f"cost:{action}")
    last = Cost.objects.filter(action=action).order_by("-version").first()
    if last is not None and last.catalogue != terms.catalogue:
        raise errors.CatalogueMistake([f"The action {action!r} belongs to the catalogue {last.catalogue!r}."])
    cost = Cost(
        action=action,
        version=last.version + 1 if last else 1,
        valid_from=versions.begin(valid_from),
        created_by=by,
        **asdict(terms),
    )
    cost.full_clean(validate_constraints=False)
    cost.save(force_insert=True)
    transaction.on_commit(forget)
    return cost


def terms_of(cost: Cost) -> Terms:
    return Terms(
        catalogue=cost.catalogue,
        kind=cost.kind,
        amount=cost.amount,
        minimum=cost.minimum,
        maximum=cost.maximum,
        unit=cost.unit,
        real_cost_micros=cost.real_cost_micros,
        real_cost_currency=cost.real_cost_currency,
        label_en=cost.label_en,
        label_fr=cost.label_fr,
        url_pattern=cost.url_pattern,
    )
