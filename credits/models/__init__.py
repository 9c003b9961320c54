from credits.models.catalogue import (
    CatchUp,
    Cost,
    CostKind,
    Every,
    GrantRule,
    Pack,
    PackPrice,
)
from credits.models.holdings import (
    Allowance,
    DebtPolicy,
    Grant,
    GrantSource,
    Hold,
    HoldState,
    Purse,
    PurseState,
    Spend,
)

__all__ = [
    "Allowance",
    "CatchUp",
    "Cost",
    "CostKind",
    "DebtPolicy",
    "Every",
    "Grant",
    "GrantRule",
    "GrantSource",
    "Hold",
    "HoldState",
    "Pack",
    "PackPrice",
    "Purse",
    "PurseState",
    "Spend",
]
