"""The tables of credits, by subject."""

from credits.models.calendar import GrantPeriod, GrantSchedule, PeriodState, ScheduleRule, ScheduleState
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
    "GrantPeriod",
    "GrantRule",
    "GrantSchedule",
    "GrantSource",
    "Hold",
    "HoldState",
    "Pack",
    "PackPrice",
    "PeriodState",
    "Purse",
    "PurseState",
    "ScheduleRule",
    "ScheduleState",
    "Spend",
]
