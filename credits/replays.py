"""What past usage would have cost under another cost table: the same uses, priced again."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from django.db.models import Count, F

from credits.catalogue_files import Catalogue
from credits.costs import Terms
from credits.models import Spend
from ledger import ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One action: what its uses cost, net of what was given back, and what they would have cost.

    `metered` is the use of unlimited customers, who pay nothing for it. An action that the file does not have, or has
    in another unit, keeps what it cost.
    """

    action: str
    unit: str
    uses: int
    before: int
    after: int
    metered_before: int
    metered_after: int
    is_repriced: bool

    @property
    def difference(self) -> int:
        return self.after - self.before


def replay(catalogue: Catalogue, *, since: datetime, until: datetime) -> list[Line]:
    """By action, in order of their names; `since` is included, `until` is not.

    A use at a price of its own keeps it, within the new range. Who was given back a part is given back as much again.
    """
    lines: dict[tuple[str, str], Line] = {}
    for line in _lines(catalogue, since, until):
        key = (line.action, line.unit)
        lines[key] = _added(lines[key], line) if key in lines else line
    return [lines[key] for key in sorted(lines)]


def totals(lines: list[Line]) -> list[Line]:
    """One line for each unit; amounts of different units are never added."""
    found: dict[str, Line] = {}
    for line in lines:
        whole = replace(line, action="total")
        found[line.unit] = _added(found[line.unit], whole) if line.unit in found else whole
    return list(found.values())


def _lines(catalogue: Catalogue, since: datetime, until: datetime) -> Iterator[Line]:
    # By the primary key, which begins with the time: a month of spends is a range of it. Equal uses are one row.
    rows = (
        Spend.objects.filter(entry_id__gte=ids.first_at(since), entry_id__lt=ids.first_at(until))
        .values("action", "quantity", "amount", "metered", "reversed_amount", unit=F("purse__unit"))
        .annotate(uses=Count("pk"))
        .order_by()
    )
    for row in rows.iterator():
        terms = catalogue.costs.get(row["action"])
        known = terms if terms is not None and terms.unit == row["unit"] else None
        old = row["amount"] + row["metered"]
        new = old if known is None else _price(known, row["quantity"], old)
        back, uses = row["reversed_amount"], row["uses"]
        before, after = (old - back) * uses, max(new - back, 0) * uses
        if back == old:
            after = 0  # a use that was given back whole costs nothing under any table
        free = row["metered"] > 0
        yield Line(
            action=row["action"],
            unit=row["unit"],
            uses=uses,
            before=0 if free else before,
            after=0 if free else after,
            metered_before=before if free else 0,
            metered_after=after if free else 0,
            is_repriced=known is not None,
        )


def _price(terms: Terms, quantity: int, old: int) -> int:
    if terms.amount is not None:
        return terms.amount * quantity
    return min(max(old, terms.minimum or 0), terms.maximum or 0)


def _added(one: Line, other: Line) -> Line:
    figures = ("uses", "before", "after", "metered_before", "metered_after")
    return Line(**asdict(one) | {name: getattr(one, name) + getattr(other, name) for name in figures})
