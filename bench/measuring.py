"""Rivals measured in turns, so that what disturbs one of them disturbs all; medians, ratios and targets."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Say = Callable[[str], None]
Measure = Callable[[], float]  # how many a second


class WentWrong(Exception):
    """What was measured did not do what it was measured for; its figure would mean nothing."""


@dataclass(slots=True)
class Figures:
    """How many a second each rival did in each round."""

    rounds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, other: str) -> float:
        """The median of the ratios within each round: a slow minute of the machine then spoils neither side."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


def in_turns(rivals: dict[str, Measure], *, rounds: int, say: Say) -> Figures:
    """Measure all rivals once in each round; every other round goes backwards, so that neighbours change sides."""
    figures = Figures({name: [] for name in rivals})
    for number in range(rounds):
        names = list(rivals) if number % 2 == 0 else list(reversed(rivals))
        for name in names:
            figures.rounds[name].append(rivals[name]())
        say(f"round {number + 1} of {rounds} done")
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A sentence of issue 3, what was wanted and what came out; `most` where less is better."""

    sentence: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def is_reached(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    def line(self) -> str:
        wanted = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return f"{'reached' if self.is_reached else 'MISSED '}  {self.value:6.2f}  ({wanted})  {self.sentence}"


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns of text: the first to the left, figures to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
