"""How badly a gateway behaves: probabilities, drawn from a seed so that a bad day can be repeated."""

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

LONGEST_DELAY_MS = 600_000


class UnknownDial(Exception):
    """No such dial, or a value that it cannot take."""


@dataclass
class NotifyDials:
    duplicate: float = 0.0
    delay_ms: int = 0
    reorder: float = 0.0
    drop: float = 0.0
    forge: float = 0.0
    wrong_amount: float = 0.0


@dataclass
class Dials:
    seed: int = 1
    latency_ms: int = 0
    drop_before: float = 0.0
    drop_after: float = 0.0
    http500_before: float = 0.0
    http500_after: float = 0.0
    html: float = 0.0
    outage: bool = False
    too_many: bool = False
    notify: NotifyDials = field(default_factory=NotifyDials)


@dataclass(frozen=True, kw_only=True)
class CallFate:
    """What befalls one call: the name of a dial, or nothing."""

    latency_ms: int = 0
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class LetterFate:
    """What befalls one notification."""

    delay_ms: int
    is_duplicated: bool
    is_reordered: bool
    is_dropped: bool
    is_forged: bool
    has_wrong_amount: bool


class Panel:
    """The dials of one gateway. Every call draws the same number of times, whatever the dials say."""

    def __init__(self, initial: Mapping[str, Any] | None = None) -> None:
        self.lock = threading.Lock()
        self.initial = dict(initial or {})
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.dials = Dials()
            _turn(self.dials, self.initial)
            self._sow()

    def turn(self, changes: Mapping[str, Any]) -> None:
        """Change what is named, keep the rest; naming the seed starts its sequence again."""
        with self.lock:
            turned = Dials(**{**asdict(self.dials), "notify": NotifyDials(**asdict(self.dials.notify))})
            _turn(turned, changes)
            self.dials = turned
            if "seed" in changes:
                self._sow()

    def show(self) -> dict[str, Any]:
        with self.lock:
            return asdict(self.dials)

    def fate_of_call(self) -> CallFate:
        with self.lock:
            dials = self.dials
            drawn = {name: self.calls.random() for name in ("drop_before", "http500_before", "drop_after")}
            drawn |= {name: self.calls.random() for name in ("http500_after", "html")}
        hit = [name for name, draw in drawn.items() if draw < getattr(dials, name)]
        steady = next((name for name in ("outage", "too_many") if getattr(dials, name)), "")
        before = steady or next((name for name in ("drop_before", "http500_before") if name in hit), "")
        after = next((name for name in ("drop_after", "http500_after", "html") if name in hit), "")
        return CallFate(latency_ms=dials.latency_ms, before=before, after="" if before else after)

    def fate_of_letter(self) -> LetterFate:
        with self.lock:
            notify = self.dials.notify
            drop, duplicate, reorder, forge, wrong = (self.letters.random() for _ in range(5))
        return LetterFate(
            delay_ms=notify.delay_ms,
            is_duplicated=duplicate < notify.duplicate,
            is_reordered=reorder < notify.reorder,
            is_dropped=drop < notify.drop,
            is_forged=forge < notify.forge,
            has_wrong_amount=wrong < notify.wrong_amount,
        )

    def _sow(self) -> None:
        self.calls = random.Random(f"calls {self.dials.seed}")  # noqa: S311 - repeatable on purpose
        self.letters = random.Random(f"letters {self.dials.seed}")  # noqa: S311


def _turn(dials: Dials | NotifyDials, changes: Mapping[str, Any], prefix: str = "") -> None:
    known = {each.name for each in fields(dials)}
    for name, value in changes.items():
        if name not in known:
            raise UnknownDial(f"There is no dial {prefix}{name}; there are: {', '.join(sorted(known))}.")
        old = getattr(dials, name)
        if isinstance(old, NotifyDials):
            if not isinstance(value, dict):
                raise UnknownDial(f"{name} is an object of dials.")
            _turn(old, value, prefix=f"{name}.")
        else:
            setattr(dials, name, _checked(prefix + name, old, value))


def _checked(name: str, old: float, value: Any) -> float:
    if isinstance(old, bool):
        if not isinstance(value, bool):
            raise UnknownDial(f"{name} is true or false.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnknownDial(f"{name} is a number.")
    if isinstance(old, int):
        if not isinstance(value, int) or (name != "seed" and not 0 <= value <= LONGEST_DELAY_MS):
            raise UnknownDial(f"{name} is a whole number, delays from 0 to {LONGEST_DELAY_MS}.")
        return value
    if not 0 <= value <= 1:
        raise UnknownDial(f"{name} is a probability from 0 to 1.")
    return float(value)
