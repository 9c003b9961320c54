"""What seeding from files shares: a line that says what differs, and the act that makes it so."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a difference, and the act that makes it so. The sign is + new, ~ changed, - taken away."""

    sign: str
    text: str
    act: Callable[[], object]

    def __str__(self) -> str:
        return f"{self.sign} {self.text}"


def changed(row: Model, what: str, wanted: Mapping[str, Any]) -> Iterator[Change]:
    """The change of a row that differs from what is wanted of it; none where it does not."""
    different = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if different:
        said = ", ".join(f"{name} {shown(getattr(row, name))} -> {shown(new)}" for name, new in different.items())
        yield Change(sign="~", text=f"{what}: {said}", act=partial(update, row, different))


def update(row: Model, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))


def shown(value: object) -> str:
    return "none" if value in (None, "") else str(value)
