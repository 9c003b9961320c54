"""The commission rules of a catalogue file: read here with the rest of the file, seeded by the wallets."""

from dataclasses import dataclass

from credits.yaml_sections import Section
from ledger import money
from ledger.errors import LedgerError
from ledger.money import BASIS_POINTS

WHEN_WITHDRAWN = ["refuse", "our_cost", "debt"]
CLEARING_DAYS = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionEntry:
    """What is kept of a sale. Amounts are in minor units of its currency; tiers are (monthly volume, basis points)."""

    basis_points: int
    sale_type: str | None
    seller_kind: str | None
    currency: str
    fixed_minor: int
    minimum_minor: int | None
    maximum_minor: int | None
    tiers: tuple[tuple[int, int], ...]
    clearing_days: int | None
    when_withdrawn: str
    debt_limit_minor: int


def read(section: Section, sale_types: list[str], seller_kinds: list[str]) -> CommissionEntry:
    """One rule. Types and kinds are those of the same file, and amounts need a currency."""
    currency = section.text("currency", default="", pattern=r"[A-Z]{3}", example="XOF")
    if currency and not money.is_currency(currency):
        section.refuse("currency", f"{currency!r} is no currency of ISO 4217; write for example XOF")
        currency = ""
    policy = section.choice("when_withdrawn", WHEN_WITHDRAWN, default=WHEN_WITHDRAWN[0])
    limit = _amount(section, "debt_limit", currency)
    if (policy == "debt") != bool(limit):
        section.refuse("debt_limit", "goes with `when_withdrawn: debt`, and that with it; write both or neither")
    low, high = _amount(section, "minimum", currency), _amount(section, "maximum", currency)
    if low is not None and high is not None and low > high:
        section.refuse("minimum", "is above the maximum")
    return CommissionEntry(
        basis_points=_points(section, "basis_points", required=True),
        sale_type=_known(section, "sale_type", sale_types),
        seller_kind=_known(section, "seller_kind", seller_kinds),
        currency=currency,
        fixed_minor=_amount(section, "fixed", currency) or 0,
        minimum_minor=low,
        maximum_minor=high,
        tiers=_tiers(section.section("tiers"), currency),
        clearing_days=section.whole("clearing_days", minimum=0, maximum=CLEARING_DAYS),
        when_withdrawn=policy,
        debt_limit_minor=limit or 0,
    )


def _known(section: Section, key: str, known: list[str]) -> str | None:
    return section.choice(key, known) if section.has(key) and known else None


def _points(section: Section, key: str, *, required: bool = False) -> int:
    found = section.whole(key, minimum=0, maximum=BASIS_POINTS)
    if found is None and required:
        section.refuse(key, "is missing; write for example `basis_points: 1000` for ten percent")
    return found or 0


def _amount(section: Section, key: str, currency: str) -> int | None:
    if not section.has(key):
        return None
    if not currency:
        section.refuse(key, "is an amount; say its currency too, for example `currency: XOF`")
        return None
    return section.amount(key, currency).minor


def _tiers(section: Section, currency: str) -> tuple[tuple[int, int], ...]:
    """`{1000000: 800}`: from a million sold in a month on, eight percent."""
    found = []
    for volume in section.names():
        try:
            least = money.parse(volume, currency).minor if currency else 0
        except LedgerError as error:
            section.refuse(volume, str(error))
            continue
        if not least:
            section.refuse(volume, "is a volume above zero; say its currency too, for example `currency: XOF`")
        found.append((least, _points(section, volume)))
    return tuple(sorted(found))
