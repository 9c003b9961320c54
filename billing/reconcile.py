"""Our books of a day against a gateway's own list, line by line.

A day ends here and there at different moments, so a line of theirs is looked for on all our days and one of ours in
their list with an hour before and after. A gateway without a list is asked about each of ours; what is missing here,
only its statement tells.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from billing import asking, calling, errors, payments
from billing.gateways import registry
from billing.gateways.base import (
    ListsMovements,
    Movement,
    MovementKind,
    OpensCheckout,
    PaymentState,
    RefundRef,
    Refunds,
    RefundState,
)
from billing.gateways.errors import GatewayError
from billing.models import Attempt, Discrepancy, Payment, Reconciliation, Refund
from billing.models.payments import SETTLED
from billing.models.reconciling import Outcome, Resolution, Source
from billing.models.refunds import RefundStatus
from ledger.money import Money

MARGIN = timedelta(hours=1)
SENT = (RefundStatus.PENDING, RefundStatus.SUCCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A line of ours."""

    kind: MovementKind
    row: Attempt | Refund
    amount: Money
    payment: Payment

    @property
    def reference(self) -> str:
        return self.row.reference

    def fits(self, movement: Movement) -> bool:
        if movement.kind is not self.kind:
            return False
        if movement.reference == self.reference:
            return True
        known = set(self.row.gateway_ids.values())
        return any(value in known for value in movement.ids.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One comparison; without an outcome it fits."""

    outcome: Outcome | None
    ours: Booked | None
    theirs: Movement | None

    def __str__(self) -> str:
        here = f"{self.ours.amount} here" if self.ours else "nothing here"
        there = f"{self.theirs.amount} there" if self.theirs else "nothing there"
        return f"{self.kind} {self.name}: {here}, {there}"

    @property
    def kind(self) -> MovementKind:
        said = self.ours or self.theirs
        assert said is not None  # noqa: S101 - one of them there is
        return said.kind

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def names(self) -> list[str]:
        """Under which it may have been written down before, the usual one first."""
        here = [self.ours.reference] if self.ours else []
        there = [*sorted(self.theirs.ids.values()), self.theirs.reference] if self.theirs else []
        return [name for name in [*here, *there] if name] or [""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    gateway: str
    day: date
    source: Source
    lines: Sequence[Line]
    unanswered: Sequence[Booked] = field(default_factory=tuple)

    @property
    def exceptions(self) -> list[Line]:
        return [line for line in self.lines if line.outcome]

    @property
    def matched(self) -> int:
        return len(self.lines) - len(self.exceptions)


def compare(gateway: str, day: date, *, statement: Sequence[Movement] | None = None) -> Report:
    """Compare and write down what did not fit. A GatewayError means that it gave no list, and nothing is written."""
    since = datetime.combine(day, time.min, tzinfo=UTC)
    until = since + timedelta(days=1)
    ours = list(_booked(gateway, since, until))
    adapter = registry.get(gateway)
    if statement is not None:
        report = _against(gateway, day, Source.STATEMENT, ours, statement)
    elif isinstance(adapter, ListsMovements):
        found = calling.call(
            gateway, "movements", lambda: adapter.movements(since=since - MARGIN, until=until + MARGIN)
        )
        report = _against(gateway, day, Source.LIST, ours, found)
    else:
        report = _asked(gateway, day, ours)
    _write_down(report)
    _hear_fees(report)
    return report


def resolve(*, discrepancy: Discrepancy, resolution: Resolution, note: str, by: User) -> Discrepancy:
    """Say how it ended; the first word stands."""
    if not note.strip():
        raise errors.ResolutionMissing
    won = (
        Discrepancy.objects.open()
        .filter(pk=discrepancy.pk)
        .update(closed_at=timezone.now(), closed_by=by, resolution=resolution, note=note)
    )
    discrepancy.refresh_from_db()
    if not won:
        raise errors.DiscrepancyClosed(discrepancy.pk)
    return discrepancy


# ---------------------------------------------------------------- ours


def _booked(gateway: str, since: datetime, until: datetime) -> Iterator[Booked]:
    attempts = Attempt.objects.filter(gateway=gateway, state__in=SETTLED).select_related("payment")
    # What is in quarantine was never paid as we asked; it ended that day.
    in_day = attempts.filter(ended_at__gte=since, ended_at__lt=until, paid_at__isnull=True) | attempts.filter(
        paid_at__gte=since, paid_at__lt=until
    )
    for attempt in in_day.order_by("id"):
        yield _of_attempt(attempt)
    sent = Refund.objects.filter(attempt__gateway=gateway, status__in=SENT, sent_at__gte=since, sent_at__lt=until)
    for refund in sent.select_related("payment", "attempt__payment").order_by("id"):
        yield _of_refund(refund)


def _of_attempt(attempt: Attempt) -> Booked:
    return Booked(kind=MovementKind.PAYMENT, row=attempt, amount=attempt.payment.money, payment=attempt.payment)


def _of_refund(refund: Refund) -> Booked:
    return Booked(kind=MovementKind.REFUND, row=refund, amount=refund.money, payment=refund.payment)


def _found(gateway: str, movement: Movement) -> Booked | None:
    """Ours of any day, by our reference or an id of the gateway's."""
    if movement.kind is MovementKind.PAYMENT:
        attempts = Attempt.objects.filter(gateway=gateway, state__in=SETTLED).select_related("payment")
        attempt = _by_name(attempts, movement)
        return _of_attempt(attempt) if isinstance(attempt, Attempt) else None
    refunds = Refund.objects.filter(attempt__gateway=gateway, status__in=SENT)
    refund = _by_name(refunds.select_related("payment", "attempt__payment"), movement)
    return _of_refund(refund) if isinstance(refund, Refund) else None


def _by_name(rows: Any, movement: Movement) -> Any:
    try:
        number = UUID(hex=movement.reference) if movement.reference else None
    except ValueError:
        number = None
    if number and (found := rows.filter(pk=number).first()):
        return found
    for name, value in movement.ids.items():
        if found := rows.filter(gateway_ids__contains={name: value}).first():
            return found
    return None


def _around(gateway: str, day: date) -> Iterator[Booked]:
    """A statement's ids have no names, so they are looked for among the values of the days beside."""
    noon = datetime.combine(day, time(12), tzinfo=UTC)
    return _booked(gateway, noon - timedelta(days=2), noon + timedelta(days=2))


# ---------------------------------------------------------------- comparing


def _against(gateway: str, day: date, source: Source, ours: Sequence[Booked], theirs: Sequence[Movement]) -> Report:
    lines, left = [], list(theirs)
    for booked in ours:
        found = next((each for each in left if booked.fits(each)), None)
        if found:
            left.remove(found)
        lines.append(_line(booked, found))
    # A line said twice, or one without a date, belongs to the day as well.
    of_the_day = [each for each in left if each.at is None or each.at.astimezone(UTC).date() == day]
    seen = {line.ours.row.pk for line in lines if line.ours}
    for movement in of_the_day:
        known = _found(gateway, movement) or next((each for each in _around(gateway, day) if each.fits(movement)), None)
        lines.append(_line(known if known and known.row.pk not in seen else None, movement))
        if known:
            seen.add(known.row.pk)
    return Report(gateway=gateway, day=day, source=source, lines=lines)


def _line(ours: Booked | None, theirs: Movement | None) -> Line:
    outcome = None
    if ours is None:
        outcome = Outcome.MISSING_HERE
    elif theirs is None:
        outcome = Outcome.MISSING_THERE
    elif ours.amount != theirs.amount:
        outcome = Outcome.DIFFERENT
    return Line(outcome=outcome, ours=ours, theirs=theirs)


def _asked(gateway: str, day: date, ours: Sequence[Booked]) -> Report:
    lines, unanswered = [], []
    for booked in ours:
        try:
            lines.append(_line(booked, _told(gateway, booked)))
        except GatewayError:
            unanswered.append(booked)
    return Report(gateway=gateway, day=day, source=Source.ASKED, lines=lines, unanswered=unanswered)


def _told(gateway: str, booked: Booked) -> Movement | None:
    """What the gateway says of one of ours, as a line; None if it knows of no money."""
    adapter = registry.get(gateway)
    if isinstance(booked.row, Refund):
        if not isinstance(adapter, Refunds):
            return Movement(kind=booked.kind, amount=booked.amount)  # sent by hand, with a proof of its own
        known = RefundRef(
            reference=booked.reference,
            payment=asking.ref(booked.row.attempt),
            amount=booked.amount,
            ids=booked.row.gateway_ids,
            created_at=booked.row.created_at,
        )
        sent = calling.call(gateway, "fetch_refund", lambda: adapter.fetch_refund(known))
        moved = sent.state in (RefundState.SUCCEEDED, RefundState.PENDING)
        return Movement(kind=booked.kind, amount=sent.amount or booked.amount) if moved else None
    assert isinstance(adapter, OpensCheckout)  # noqa: S101 - it opened this one
    ours = asking.ref(booked.row)
    paid = calling.call(gateway, "fetch", lambda: adapter.fetch_payment(ours))
    moved = paid.state is PaymentState.SUCCEEDED
    return Movement(kind=booked.kind, amount=paid.amount or booked.amount, fee=paid.fee) if moved else None


# ---------------------------------------------------------------- writing down


@transaction.atomic
def _write_down(report: Report) -> None:
    Reconciliation.objects.create(
        gateway=report.gateway,
        day=report.day,
        source=report.source,
        matched=report.matched,
        exceptions=len(report.exceptions),
        unanswered=len(report.unanswered),
    )
    new = {_key(report, line, line.name, line.outcome): line for line in report.exceptions}
    Discrepancy.objects.bulk_create(
        [_discrepancy(report, key, line) for key, line in new.items()], ignore_conflicts=True
    )
    fitting = [
        _key(report, line, name, outcome)
        for line in report.lines
        if not line.outcome
        for name in line.names
        for outcome in Outcome
    ]
    # What the same report has found is not settled by another line of it: the same payment may be said twice.
    fitting = [key for key in fitting if key not in new]
    Discrepancy.objects.open().filter(key__in=fitting).update(closed_at=timezone.now(), resolution=Resolution.SETTLED)


def _hear_fees(report: Report) -> None:
    """What the gateway kept of what fits, where nobody had said it before."""
    for line in report.lines:
        if (
            line.outcome is None
            and line.ours
            and line.theirs
            and line.theirs.fee
            and isinstance(line.ours.row, Attempt)
        ):
            payments.hear_fee(attempt=line.ours.row, fee=line.theirs.fee)


def _key(report: Report, line: Line, name: str, outcome: Outcome | None) -> str:
    return f"{report.gateway}:{line.kind}:{name}"[:250] + f":{outcome}"


def _discrepancy(report: Report, key: str, line: Line) -> Discrepancy:
    ours, theirs = line.ours, line.theirs
    ids: Mapping[str, str] = theirs.ids if theirs else ours.row.gateway_ids if ours else {}
    said = ours.amount if ours else theirs.amount if theirs else None
    assert said is not None  # noqa: S101 - one of them there is
    return Discrepancy(
        key=key,
        gateway=report.gateway,
        day=report.day,
        outcome=line.outcome or "",
        kind=line.kind,
        reference=(ours.reference if ours else theirs.reference if theirs else "")[:64],
        ids=dict(ids),
        currency=said.unit,
        ours_minor=ours.amount.minor if ours else None,
        theirs_minor=theirs.amount.minor if theirs else None,
        their_currency=theirs.amount.unit if theirs else "",
        payment=ours.payment if ours else None,
    )
