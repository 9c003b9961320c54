"""Two small exact searches over a catalogue: the cheapest combination of packs, and the cheapest path to a credit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from credits.catalogue_files import Catalogue, PlanEntry, RuleEntry

MOST_ACTS = 4
MOST_STEPS = 100_000
WEEKS_A_MONTH = Fraction(52, 12)
MONTHS = {"month": 1, "year": 12}


# ---------------------------------------------------------------- combinations of packs


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Something that can be bought any number of times: so many credits for so much."""

    code: str
    credits: int
    price_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    price_minor: int
    credits: int
    counts: dict[str, int]

    def __str__(self) -> str:
        return " + ".join(code if count == 1 else f"{count} times {code}" for code, count in self.counts.items())


def cheapest_combination(choices: list[Choice], needed: int, budget_minor: int) -> Combination | None:
    """The cheapest way to get at least so many credits within the budget; of equals the one with the most credits.

    Branch and bound: the choices are tried from the best rate to the worst, and a branch is left as soon as the rate
    of what remains cannot beat what was found. After MOST_STEPS it stops: it may then miss one, never invent one.
    """
    return _Combinations(choices, needed, budget_minor).search()


class _Combinations:
    def __init__(self, choices: list[Choice], needed: int, budget_minor: int) -> None:
        self.choices = sorted(choices, key=lambda each: Fraction(each.price_minor, each.credits))
        self.needed = needed
        self.budget_minor = budget_minor
        self.best: tuple[int, int, tuple[int, ...]] | None = None
        self.steps = 0

    def search(self) -> Combination | None:
        self._from(0, (), 0, 0)
        if self.best is None:
            return None
        price_minor, credits_minus, counts = self.best
        found = {each.code: count for each, count in zip(self.choices, counts, strict=False) if count}
        return Combination(price_minor=price_minor, credits=-credits_minus, counts=found)

    def _from(self, index: int, counts: tuple[int, ...], price_minor: int, got: int) -> None:
        self.steps += 1
        if got >= self.needed:
            self.best = min(filter(None, (self.best, (price_minor, -got, counts))))
            return
        if index == len(self.choices):
            return
        choice = self.choices[index]
        for count in range(-(-(self.needed - got) // choice.credits), -1, -1):
            price, total = price_minor + count * choice.price_minor, got + count * choice.credits
            if price > (self.budget_minor if self.best is None else self.best[0]):
                continue
            if self.steps > MOST_STEPS or self._cannot_win(index + 1, price, total):
                return  # fewer of this one leave even more to the worse rates
            self._from(index + 1, (*counts, count), price, total)

    def _cannot_win(self, index: int, price_minor: int, got: int) -> bool:
        lacking = self.needed - got
        if lacking > 0:
            if index == len(self.choices):
                return True
            following = self.choices[index]
            price_minor += -(-lacking * following.price_minor // following.credits)
        limit = self.budget_minor if self.best is None else min(self.best[0], self.budget_minor)
        return price_minor > limit


# ---------------------------------------------------------------- paths to a credit


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What somebody did, what it cost in minor units, and how many credits came of it."""

    acts: tuple[str, ...] = ()
    paid_minor: Fraction = Fraction(0)
    credits: Fraction = Fraction(0)
    plan: tuple[str, str] | None = None  # its code and interval
    period_is_over: bool = False
    refundable_minor: Fraction = Fraction(0)  # what the next refund would bring back
    refund_ends_plan: bool = False

    @property
    def price_of_a_credit(self) -> Fraction:
        return self.paid_minor / self.credits

    def then(self, act: str, *, pay: int | Fraction = 0, get: int | Fraction = 0) -> "Path":
        return replace(self, acts=(*self.acts, act), paid_minor=self.paid_minor + pay, credits=self.credits + get)


def cheapest_path(catalogue: Catalogue, currency: str) -> Path | None:
    """The lowest price of one credit that up to four acts can reach; of equals the one with the fewest acts.

    The acts: subscribe, wait for a paid period to pass, upgrade, buy a pack, ask for a refund. It is assumed that
    grants come at once and that all credits are spent before a refund. Unlimited plans have no price of a credit.
    """
    search = _Paths(catalogue, currency)
    found = [path for path in search.all() if path.credits > 0]
    return min(found, key=lambda path: (path.price_of_a_credit, len(path.acts)), default=None)


def first_grants(catalogue: Catalogue, plan: PlanEntry) -> int:
    return sum(catalogue.grant_rules[code].amount for code in plan.grants)


def credits_of_period(catalogue: Catalogue, plan: PlanEntry, interval: str) -> Fraction:
    """All that a plan gives while one paid period passes: 500 a week are 2166 2/3 a month."""

    def monthly(rule: RuleEntry) -> Fraction:
        return rule.amount * (WEEKS_A_MONTH if rule.every == "week" else Fraction(1))

    months = MONTHS[interval]
    return sum((monthly(catalogue.grant_rules[code]) * months for code in plan.grants), Fraction(0))


class _Paths:
    def __init__(self, catalogue: Catalogue, currency: str) -> None:
        self.catalogue = catalogue
        self.currency = currency
        self.plans = {
            (code, interval): prices[currency].minor
            for code, plan in catalogue.plans.items()
            if plan.grants and not plan.unlimited
            for interval, prices in plan.prices.items()
            if currency in prices
        }
        # A mix is never cheaper for each credit than its cheapest part, so no other pack needs to be tried.
        sold = [code for code, pack in catalogue.packs.items() if currency in pack.prices]
        self.pack = min(sold, key=self._rate, default=None)

    def _rate(self, code: str) -> Fraction:
        pack = self.catalogue.packs[code]
        return Fraction(pack.prices[self.currency].minor, pack.total)

    def all(self) -> Iterator[Path]:
        level = [Path()]
        for _ in range(MOST_ACTS):
            level = [after for path in level for after in self._next(path)]
            yield from level

    def _next(self, path: Path) -> Iterator[Path]:
        yield from self._buy(path)
        yield from self._refund(path)
        if path.plan is None:
            yield from (self._subscribe(path, plan) for plan in self.plans)
        else:
            yield self._wait(path, path.plan)
            yield from self._upgrade(path, path.plan)

    def _buy(self, path: Path) -> Iterator[Path]:
        if self.pack is not None:
            pack = self.catalogue.packs[self.pack]
            price = Fraction(pack.prices[self.currency].minor)
            # Spent credits make a pack refundable in full only where the policy gives everything back.
            back = price if self.catalogue.refunds == "full" else Fraction(0)
            after = path.then(f"buy {self.pack}", pay=price, get=pack.total)
            yield replace(after, refundable_minor=back, refund_ends_plan=False)

    def _refund(self, path: Path) -> Iterator[Path]:
        if path.refundable_minor:
            after = replace(path.then("refund", pay=-path.refundable_minor), refundable_minor=Fraction(0))
            yield replace(after, plan=None, period_is_over=False) if path.refund_ends_plan else after

    def _subscribe(self, path: Path, plan: tuple[str, str]) -> Path:
        return self._enter(path, plan, f"subscribe to {plan[0]} by the {plan[1]}", self.plans[plan])

    def _enter(self, path: Path, plan: tuple[str, str], act: str, pay: int) -> Path:
        """A period begins: its price is paid and the first grants come at once."""
        refunded = self.catalogue.refunds in ("full", "proportional")
        return replace(
            path.then(act, pay=pay, get=first_grants(self.catalogue, self.catalogue.plans[plan[0]])),
            plan=plan,
            period_is_over=False,
            refundable_minor=Fraction(self.plans[plan] if refunded else 0),
            refund_ends_plan=True,
        )

    def _wait(self, path: Path, plan: tuple[str, str]) -> Path:
        """The rest of the paid period; where it is over already, a whole one that is paid for."""
        entry = self.catalogue.plans[plan[0]]
        whole = credits_of_period(self.catalogue, entry, plan[1])
        price = Fraction(self.plans[plan])
        back = price if self.catalogue.refunds == "full" else Fraction(0)
        if path.period_is_over:
            after = path.then(f"wait another {plan[1]}", pay=price, get=whole)
        else:
            after = path.then(f"wait a {plan[1]}", get=whole - first_grants(self.catalogue, entry))
        return replace(after, refundable_minor=back, refund_ends_plan=True, period_is_over=True)

    def _upgrade(self, path: Path, plan: tuple[str, str]) -> Iterator[Path]:
        """To a dearer plan of the same interval: the difference is paid, or the whole price of a new period."""
        for better, price in self.plans.items():
            if better[1] == plan[1] and price > self.plans[plan]:
                pay = price if path.period_is_over else price - self.plans[plan]
                yield self._enter(path, better, f"upgrade to {better[0]}", pay)
