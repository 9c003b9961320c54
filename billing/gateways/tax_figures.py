"""What a gateway calculates of tax where we asked it to, in our words."""

from dataclasses import dataclass
from enum import StrEnum

from ledger.money import Money


class TaxBehavior(StrEnum):
    """How a price that we name stands to the tax."""

    INCLUSIVE = "inclusive"
    EXCLUSIVE = "exclusive"


class TaxReason(StrEnum):
    TAXED = "taxed"
    REVERSE_CHARGE = "reverse_charge"
    EXEMPT = "exempt"
    NOT_DUE = "not_due"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxFigures:
    """The tax in what was paid, and why it is that much."""

    tax: Money
    reason: TaxReason
    basis_points: int = 0  # 0 with a tax: the gateway does not name the rate
    is_added: bool = False  # it came on top of the price that we named
    country: str = ""  # where the buyer is, by what they told the gateway
    vat_number: str = ""  # which they typed there
